/** The comparison on somebody's own image folder and LayersModel. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type ImageFolderOptions, imageFolder } from 'tfjs-ftp/data';
import { setFromFolder } from './evaluation.js';
import { loadModelFiles } from './load_model.js';
import type { Task } from './task.js';
import { prepareTransfer } from './transfer.js';

export interface FolderTaskOptions {
  /** Folder of class folders. */
  data: string;
  /** A model.json, or the folder that holds it. */
  model: string;
  /** Share of the images that is held out to test on. */
  validation: number;
  /** Folders with the same classes, by the name of their column. */
  shifted: ReadonlyMap<string, string>;
  /** Layers not to train beside normalization; undefined: the stem. */
  freeze: readonly (string | RegExp)[] | undefined;
  /** What the model expects pixel values to run from and to. */
  range: readonly [number, number];
  seed: number;
  batchSize: number;
}

/** Height, width and channels of the images that a model takes. */
function imageShape(model: LayersModel): { imageSize: [number, number]; channels: 1 | 3 } {
  const shape = model.inputs[0]?.shape ?? [];
  const [, height, width, channels] = shape;
  const fits = model.inputs.length === 1 && shape.length === 4 && height && width;
  if (!fits || (channels !== 1 && channels !== 3)) {
    throw new Error(
      `--model must take one image, [null, height, width, 1 or 3], got the input shape [${shape.map(String).join(', ')}]`,
    );
  }
  return { imageSize: [height, width], channels };
}

/** Opens the folders and the model. */
export async function folderTask(options: FolderTaskOptions): Promise<Task> {
  const { data, validation, seed, batchSize, range, shifted } = options;
  const path = resolve(options.model);
  const file = existsSync(join(path, 'model.json')) ? join(path, 'model.json') : path;
  if (!existsSync(file)) throw new Error(`--model: ${file} does not exist`);
  const pretrained = await loadModelFiles(file);
  const common: ImageFolderOptions = {
    ...imageShape(pretrained),
    range,
    seed,
    cache: true,
    onError: 'skip',
  };
  const split = { ...common, validationSplit: validation };
  const training = () =>
    imageFolder(data, {
      ...split,
      batchSize: Math.min(batchSize, files.length),
      subset: 'training',
      repeat: true,
    });
  const { classNames, files, skipped } = await imageFolder(data, { ...split, subset: 'training' });
  const tests: ImageFolderOptions = { ...common, labels: 'index', shuffle: false, batchSize: 64 };
  const held = await imageFolder(data, { ...tests, validationSplit: validation, subset: 'validation' });
  const folders = await Promise.all(
    [...shifted].map(async ([name, folder]) => ({
      name,
      images: await imageFolder(folder, { ...tests, classNames }),
    })),
  );
  for (const unread of [...skipped, ...held.skipped, ...folders.flatMap(({ images }) => images.skipped)]) {
    console.warn(`left out: ${unread.reason}`);
  }
  return {
    title:
      `${classNames.length} classes from ${resolve(data)}: ${files.length} images to train on, ` +
      `${held.files.length} to test on`,
    transfer: prepareTransfer(pretrained, classNames.length, seed, options.freeze),
    classNames,
    trainingImages: files.length,
    training,
    inDistribution: setFromFolder('validation', held),
    shifted: folders.map(({ name, images }) => setFromFolder(name, images)),
    toCorrupt: setFromFolder('validation', held),
    range,
  };
}
