/**
 * Pre-trains the glyph model: `npm run pretrain`. Writes demo/assets/pretrained/model.json and weights.bin.
 *
 * Every image is drawn anew: a random one of the 62 characters, from a random pre-training family of a
 * random kind, at a random place, size and angle; a quarter black on white, a quarter in two random
 * colours, half textured. No noise, blur, low contrast or coarse pixels, which the demo's corruptions test.
 * Stock `tf.train.adam` with a cosine schedule. One seed gives one set of weights on one machine; other
 * machines add in another order.
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { Command, InvalidArgumentError } from 'commander';
import { Random } from '../tools/random.js';
import { families, KINDS } from './fonts.js';
import { buildGlyphModel } from './glyph_model.js';
import { CHARACTERS, GlyphPainter, IMAGE_BYTES, IMAGE_SIZE, type Style, WIDE_PLACEMENT } from './glyphs.js';
import { progressBar } from './progress.js';
import { startTensorFlow } from './runtime.js';

interface Options {
  steps: number;
  batchSize: number;
  learningRate: number;
  seed: number;
  out: string;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number > 0.');
  return value;
}

const STYLES: readonly Style[] = ['plain', 'recoloured', 'textured', 'textured'];

/** Images as values from 0 to 1, [batch, 32, 32, 3], and labels, [batch]. The caller disposes both. */
function drawBatch(painter: GlyphPainter, size: number, random: Random): { xs: tf.Tensor; ys: tf.Tensor1D } {
  const pixels = new Float32Array(size * IMAGE_BYTES);
  const labels = new Int32Array(size);
  for (let i = 0; i < size; ++i) {
    labels[i] = random.integer(0, CHARACTERS.length - 1);
    const family = random.pick(families(random.pick(KINDS), 'pretrain'));
    const character = CHARACTERS[labels[i] as number] as string;
    const image = painter.draw(character, family, random.pick(STYLES), WIDE_PLACEMENT, random);
    for (let j = 0; j < IMAGE_BYTES; ++j) pixels[i * IMAGE_BYTES + j] = (image[j] as number) / 255;
  }
  return { xs: tf.tensor4d(pixels, [size, IMAGE_SIZE, IMAGE_SIZE, 3]), ys: tf.tensor1d(labels, 'int32') };
}

async function pretrain(options: Options): Promise<void> {
  await startTensorFlow();
  const painter = await GlyphPainter.create();
  const random = new Random(options.seed, 'pretrain');
  const model = buildGlyphModel(options.seed);
  const optimizer = tf.train.adam(options.learningRate);
  const bar = progressBar('pre-training', options.steps);
  let loss = Number.NaN;
  let accuracy = 0;
  const start = performance.now();
  for (let step = 0; step < options.steps; ++step) {
    const warmup = Math.min(1, (step + 1) / 100);
    const cosine = (1 + Math.cos((Math.PI * step) / options.steps)) / 2;
    // tfjs reads the field at every step, but offers no setter for it.
    Reflect.set(optimizer, 'learningRate', options.learningRate * warmup * cosine);
    const { xs, ys } = drawBatch(painter, options.batchSize, random);
    const hits = tf.tidy(() => {
      const targets = tf.oneHot(ys, CHARACTERS.length);
      let correct = 0;
      const cost = optimizer.minimize(() => {
        const logits = model.apply(xs, { training: true }) as tf.Tensor2D;
        if (step % 20 === 0) correct = tf.equal(tf.argMax(logits, 1), ys).sum().dataSync()[0] as number;
        return tf.losses.softmaxCrossEntropy(targets, logits, undefined, 0.05) as tf.Scalar;
      }, true) as tf.Scalar;
      if (step % 20 === 0) loss = cost.dataSync()[0] as number;
      return correct;
    });
    tf.dispose([xs, ys]);
    if (step % 20 === 0) {
      // Images never seen before, so this is an honest accuracy on the pre-training families.
      accuracy += (step === 0 ? 1 : 0.1) * (hits / options.batchSize - accuracy);
      bar.update(step, `loss ${loss.toFixed(3)}, accuracy ${(100 * accuracy).toFixed(1)}%`);
      if (step % 500 === 0 && !process.stdout.isTTY) {
        const seconds = (performance.now() - start) / 1000;
        console.log(
          `step ${step}: loss ${loss.toFixed(3)}, accuracy ${(100 * accuracy).toFixed(1)}%, ${seconds.toFixed(0)} s`,
        );
      }
    }
  }
  bar.stop();
  await mkdir(options.out, { recursive: true });
  await model.save(`file://${options.out}`);
  console.log(
    `${options.steps} steps of ${options.batchSize} images in ${((performance.now() - start) / 1000).toFixed(0)} s: ` +
      `accuracy on fresh images ${(100 * accuracy).toFixed(1)}%; model written to ${options.out}`,
  );
}

// dist/tools/demo/pretrain.js -> demo/assets/pretrained
const assets = fileURLToPath(new URL('../../../demo/assets/pretrained', import.meta.url));

const command = new Command('pretrain')
  .description('Pre-trains the glyph model of the demo.')
  .option('--steps <n>', 'training steps', positiveNumber, 8000)
  .option('--batch-size <n>', 'images a step', positiveNumber, 64)
  .option('--learning-rate <x>', 'highest learning rate of the cosine schedule', positiveNumber, 3e-3)
  .option('--seed <n>', 'seed of weights and images', Number, 1)
  .option('--out <dir>', 'folder for model.json and weights.bin', assets);
command.parse();
await pretrain(command.opts<Options>());
