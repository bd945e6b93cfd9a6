/** Finds the image files of a folder whose sub-folders are classes, and splits them for validation. */
import { readdir } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import * as tfdata from '@tensorflow/tfjs-data';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';

/** One image file and the position of its class in `classNames`. */
export interface ImageFile {
  readonly path: string;
  readonly label: number;
}

/** Extensions that are taken for images, in lower case. Other files are ignored. */
export const IMAGE_EXTENSIONS: readonly string[] = [
  '.png',
  '.jpg',
  '.jpeg',
  '.webp',
  '.gif',
  '.bmp',
  '.tif',
  '.tiff',
  '.avif',
];

async function list(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new FtpError(
      'IMAGE_FOLDER_INVALID',
      `cannot read the image folder ${directory}: ${code === 'ENOENT' ? 'it does not exist' : (cause as Error).message}`,
      { cause },
    );
  }
}

/** Plain code-point order, the same on every machine and in every locale. */
function inOrder(names: string[]): string[] {
  return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Image files anywhere below a folder, in order of their paths. Hidden files and folders are left out. */
async function imagesBelow(directory: string): Promise<string[]> {
  const entries = await list(directory);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const found: string[] = [];
  for (const name of inOrder([...byName.keys()])) {
    if (name.startsWith('.')) continue;
    const path = join(directory, name);
    if (byName.get(name)?.isDirectory()) found.push(...(await imagesBelow(path)));
    else if (IMAGE_EXTENSIONS.includes(extname(name).toLowerCase())) found.push(path);
  }
  return found;
}

/**
 * Lists the images of every class.
 *
 * @param classNames sub-folders to take, in the order of their labels; undefined takes all, sorted by name
 * @returns class names, and the files class by class
 * @throws FtpError `IMAGE_FOLDER_INVALID` if the folder cannot be read, has no class sub-folders, lacks one
 *   of `classNames`, or a class holds no image
 */
export async function findImageFiles(
  directory: string,
  classNames?: readonly string[],
): Promise<{ classNames: string[]; files: ImageFile[] }> {
  const root = resolve(directory);
  const present = inOrder(
    (await list(root))
      .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isSymbolicLink()))
      .map((entry) => entry.name),
  );
  if (present.length === 0) {
    throw new FtpError(
      'IMAGE_FOLDER_INVALID',
      `${root} has no sub-folders; put the images of each class in a sub-folder of its own, such as ${join(root, 'cat', '1.png')}`,
    );
  }
  const missing = classNames?.filter((name) => !present.includes(name)) ?? [];
  if (missing.length > 0) {
    throw new FtpError(
      'IMAGE_FOLDER_INVALID',
      `${root} has no sub-folder for the classes ${missing.join(', ')} of classNames; it has ${present.join(', ')}`,
    );
  }
  const names = classNames === undefined ? present : [...classNames];
  const files: ImageFile[] = [];
  for (const [label, name] of names.entries()) {
    const paths = await imagesBelow(join(root, name));
    if (paths.length === 0) {
      throw new FtpError(
        'IMAGE_FOLDER_INVALID',
        `the class folder ${join(root, name)} holds no image (${IMAGE_EXTENSIONS.join(' ')})`,
      );
    }
    files.push(...paths.map((path) => ({ path, label })));
  }
  return { classNames: names, files };
}

/**
 * Takes one side of a split made class by class, so that both sides have every class: of n images of a
 * class, round(n * share) go to validation, at least one where n > 1, and never all. The same seed gives
 * the same split.
 *
 * @throws RangeError if the validation side would be empty
 */
export async function splitFiles(
  files: readonly ImageFile[],
  share: number,
  subset: 'training' | 'validation',
  seed: number,
): Promise<ImageFile[]> {
  const chosen: ImageFile[] = [];
  for (const label of new Set(files.map((file) => file.label))) {
    const members = files.filter((file) => file.label === label);
    const order = await tfdata
      .array(members.map((_, index) => index))
      .shuffle(members.length, `split ${seed} ${label}`, false)
      .toArray();
    const count = members.length > 1 ? Math.max(1, Math.round(members.length * share)) : 0;
    const held = new Set(order.slice(0, Math.min(count, members.length - 1)));
    chosen.push(...members.filter((_, index) => held.has(index) === (subset === 'validation')));
  }
  if (chosen.length === 0) {
    throw new RangeError(
      `validationSplit ${describe(share)} leaves no image for validation: every class has a single image`,
    );
  }
  return chosen;
}
