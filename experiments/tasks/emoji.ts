/**
 * Emoji: which of 24 kinds of thing a drawing shows. Trained on the drawings of one vendor, tested on drawings of the same vendor,
 * on those of others, and on corrupted ones, always of emoji that were not trained on.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { recipes } from 'tfjs-ftp';
import { Random } from '../../tools/random.js';
import { augmented } from '../augment.js';
import { CORRUPTIONS, corrupt, type Severity } from '../corruptions.js';
import { MissingData } from '../data/packages.js';
import { emojiImages } from '../emoji/images.js';
import { EMOJI_SETS, type EmojiSetName } from '../emoji/sets.js';
import { type Emoji, emojiOf, readTable } from '../emoji/table.js';
import { FeatureExamples, featuresOf } from '../features.js';
import { mobileNetPart } from '../networks/mobilenet.js';
import type { Domain, OpenTask, Protocol, Task } from '../task.js';

/** The vendor that is trained on. */
const SOURCE: EmojiSetName = 'noto';
/** Layers up to here are not trained by any method, so what they make of each image is computed once. */
const FROZEN = 'block_2_add';
/** Where the head takes its features; later layers of this net transfer less well. */
const TAP = 'block_10_project_BN';
const HEAD = 'head';

/** Keys of a protocol's numbers. */
interface EmojiProtocol extends Protocol {
  imageSize: number;
  /** Augmented views of each training image. */
  views: number;
}

async function pictures(
  set: EmojiSetName,
  emoji: readonly Emoji[],
  size: number,
  say: (text: string) => void,
) {
  // All emoji of the table, whatever the split, so that they are drawn once.
  const { emoji: all } = await readTable();
  const images = await emojiImages(set, all, size, say);
  const byCode = new Map(all.map(({ code }, i) => [code, images[i] ?? null]));
  return emoji.flatMap((one) => {
    const data = byCode.get(one.code);
    return data === null || data === undefined
      ? []
      : [{ ...one, picture: { data, height: size, width: size } }];
  });
}

/** From what the frozen layers give to logits. */
async function upperNet(
  shape: readonly number[],
  classes: number,
  seed: number,
): Promise<layers.LayersModel> {
  const part = await mobileNetPart(FROZEN, TAP, shape);
  const features = layers.layers
    .globalAveragePooling2d({ name: 'features', dataFormat: 'channelsLast' })
    .apply(part.outputs[0] as layers.SymbolicTensor);
  const logits = layers.layers
    .dense({ name: HEAD, units: classes, kernelInitializer: layers.initializers.glorotUniform({ seed }) })
    .apply(features) as layers.SymbolicTensor;
  return layers.model({ inputs: part.inputs, outputs: logits });
}

async function open(seed: number, protocol: Protocol, say: (text: string) => void): Promise<OpenTask> {
  const { imageSize, views, severities } = protocol as EmojiProtocol;
  const table = await readTable();
  const trunk = await mobileNetPart(null, FROZEN, [imageSize, imageSize, 3]);
  recipes.foldBatchNorm(trunk);
  const classes = table.classes.length;
  const examples = (some: { code: string; label: number; data: Uint8Array }[]) =>
    new FeatureExamples(
      featuresOf(
        trunk,
        some.map(({ data }) => data),
        [imageSize, imageSize, 3],
      ),
      some.map(({ code }) => code),
      some.map(({ label }) => label),
      classes,
    );
  const plain = async (set: EmojiSetName, split: 'validation' | 'test') => {
    const some = await pictures(set, emojiOf(table, split, seed), imageSize, say);
    return examples(some.map(({ picture, ...rest }) => ({ ...rest, data: picture.data })));
  };
  const trained = await pictures(SOURCE, emojiOf(table, 'train', seed), imageSize, say);
  const training = examples(
    trained.flatMap(({ picture, ...rest }) => {
      const random = new Random(seed, 'views', rest.code);
      return Array.from({ length: views }, () => ({ ...rest, data: augmented(picture, random) }));
    }),
  );
  const domains: Domain[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  for (const { name } of EMOJI_SETS) {
    if (name === SOURCE) continue;
    try {
      domains.push({ name, kind: 'shift', examples: await plain(name, 'test') });
    } catch (error) {
      if (!(error instanceof MissingData)) throw error;
      leftOut.push({ name, reason: error.message });
    }
  }
  const tested = await pictures(SOURCE, emojiOf(table, 'test', seed), imageSize, say);
  for (const kind of CORRUPTIONS) {
    const spoilt = await Promise.all(
      severities.flatMap((severity) =>
        tested.map(async ({ picture, ...rest }) => {
          const random = new Random(kind, severity, rest.code);
          return { ...rest, data: await corrupt(picture, kind, severity as Severity, random) };
        }),
      ),
    );
    domains.push({ name: kind, kind: 'corruption', examples: examples(spoilt) });
  }
  const model = await upperNet(
    (trunk.outputs[0] as layers.SymbolicTensor).shape.slice(1) as number[],
    classes,
    seed,
  );
  const validation = await plain(SOURCE, 'validation');
  const inDistribution = await plain(SOURCE, 'test');
  trunk.dispose();
  return {
    model,
    head: HEAD,
    training,
    validation,
    inDistribution,
    domains,
    leftOut,
    loss: (ys, predictions) => tf.losses.softmaxCrossEntropy(ys, predictions) as tf.Scalar,
    async judge(ys, predictions) {
      const [predicted, labels] = tf.tidy(() => [tf.argMax(predictions, 1), tf.argMax(ys, 1)] as const);
      const [found, expected] = [await predicted.array(), await labels.array()] as [number[], number[]];
      tf.dispose([predicted, labels]);
      return { predictions: found, scores: found.map((label, i) => (label === expected[i] ? 1 : 0)) };
    },
    dispose: () => model.dispose(),
  };
}

export const emoji: Task = {
  name: 'emoji',
  version: 1,
  title: 'Emoji by vendor',
  metric: 'accuracy',
  protocol: (quick) => ({
    steps: quick ? 100 : 300,
    batchSize: 32,
    severities: quick ? [3] : [1, 2, 3, 4, 5],
    imageSize: 64,
    views: quick ? 4 : 8,
  }),
  open,
};
