/** Suite `train`: whole training steps of the demo's model under tfjs-node, in a process of its own. */

import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { median } from 'simple-statistics';
import { ftp } from 'tfjs-ftp';
import { table } from '../../tools/table.js';
import { startBackend } from '../backends.js';
import { runTrial } from '../child.js';
import { fixed, millions, milliseconds, ratioText } from '../format.js';
import { interleave, type Runnable, summarizeRun } from '../measure.js';
import type { TrainRun } from '../schema.js';
import { makeValues } from '../subject.js';
import { MIN_SAMPLE_SECONDS, type Suite, type Timing, timing } from '../suite.js';

interface TrainSpec {
  timing: Timing;
  batchSize: number;
}

const MODEL = fileURLToPath(new URL('../../../../demo/assets/pretrained/model.json', import.meta.url));
const IMAGE_SIZE = 32;
const CHANNELS = 3;
const CLASSES = 62;
const RATE = 1e-4;
const WARM_UP_STEPS = 5;

type Optimizer = tf.Optimizer | ReturnType<typeof ftp.adamw>;

const CONTENDERS: ReadonlyArray<{
  name: string;
  label: string;
  /** @param head name of the model's new layer */
  create(model: LayersModel, head: string): Optimizer;
}> = [
  { name: 'tf-adam', label: 'tf.train.adam', create: () => tf.train.adam(RATE) },
  {
    name: 'ftp-adamw',
    label: 'FTP-AdamW',
    create: (model, head) => ftp.adamw(RATE, { model, exclude: [`${head}/`] }),
  },
  {
    name: 'adamw',
    label: 'unprojected AdamW',
    create: (model) => ftp.adamw(RATE, { model, exclude: [/./] }),
  },
];

/** A model of its own for each contender, set up as the demo does: new head; stem and normalization frozen. */
class Training implements Runnable {
  loss = Number.NaN;
  /** Seconds in applyGradients, by step. */
  readonly optimizerSeconds: number[] = [];

  constructor(
    readonly name: string,
    readonly label: string,
    readonly optimizer: Optimizer,
    readonly model: LayersModel,
    private readonly images: tf.Tensor,
    private readonly labels: tf.Tensor,
  ) {
    const apply = optimizer.applyGradients.bind(optimizer);
    optimizer.applyGradients = (gradients) => {
      const start = performance.now();
      apply(gradients);
      this.optimizerSeconds.push((performance.now() - start) / 1000);
    };
    model.compile({ optimizer, loss: (target, logits) => tf.losses.softmaxCrossEntropy(target, logits) });
  }

  async run(): Promise<void> {
    // It reads the loss, so the step is over when it returns.
    this.loss = (await this.model.trainOnBatch(this.images, this.labels)) as number;
  }

  /** What computes the step; null for stock optimizers. */
  get implementation(): string | null {
    return 'implementation' in this.optimizer ? this.optimizer.implementation : null;
  }
}

export async function trainTrial(spec: TrainSpec): Promise<TrainRun> {
  const { timing, batchSize } = spec;
  // The demo's code, which takes time to load, is left out of the other suites.
  const [{ loadLayersModel }, { HEAD, prepareTransfer }] = await Promise.all([
    import('@tensorflow/tfjs-layers'),
    import('../../demo/transfer.js'),
  ]);
  const tensorflow = await startBackend('tensorflow');
  const shape = [batchSize, IMAGE_SIZE, IMAGE_SIZE, CHANNELS];
  const pixels = tf.tensor(makeValues(batchSize * IMAGE_SIZE * IMAGE_SIZE * CHANNELS, 1, 0.5), shape);
  const images = tf.add(pixels, 0.5);
  const classes = Array.from({ length: batchSize }, (_, i) => i % CLASSES);
  const labels = tf.cast(tf.oneHot(tf.tensor1d(classes, 'int32'), CLASSES), 'float32');

  const trainings: Training[] = [];
  for (const { name, label, create } of CONTENDERS) {
    const transfer = prepareTransfer(await loadLayersModel(`file://${MODEL}`), CLASSES, 1);
    transfer.reset('backbone');
    trainings.push(new Training(name, label, create(transfer.model, HEAD), transfer.model, images, labels));
  }
  const firstLoss: number[] = [];
  for (const training of trainings) {
    await training.run();
    firstLoss.push(training.loss);
  }
  const samples = await interleave(trainings, { ...timing, warmUpSteps: WARM_UP_STEPS });
  for (const [i, { name, loss }] of trainings.entries()) {
    if (!(loss < (firstLoss[i] as number))) {
      throw new Error(`${name}: the loss went from ${firstLoss[i]} to ${loss} on the same batch`);
    }
  }

  const parameters = trainableParameters((trainings[0] as Training).model);
  const timed = trainings.map(({ name, label, implementation }, i) => ({
    name,
    label,
    implementation,
    bytesPerParameter: null,
    ...(samples[i] as (typeof samples)[number]),
  }));
  const contenders = summarizeRun(timed, parameters, ['tf-adam', 'adamw']).map((contender, i) => {
    const { optimizerSeconds } = trainings[i] as Training;
    return { ...contender, optimizerShare: median(optimizerSeconds) / contender.secondsPerStep.median };
  });
  return { backend: 'tensorflow', tensorflow, parameters, batchSize, contenders };
}

function trainableParameters(model: LayersModel): number {
  return model.trainableWeights.reduce((total, weight) => total + weight.read().size, 0);
}

function formatRun({ tensorflow, parameters, batchSize, contenders }: TrainRun): string {
  return [
    `Training step of the demo's model (${millions(parameters)} trained, batches of ${batchSize}), ` +
      `TensorFlow ${tensorflow}`,
    table(
      ['', 'ms per step', 'x tf adam', 'x AdamW', 'optimizer, % of the step'],
      contenders.map((contender) => [
        contender.label,
        milliseconds(contender.secondsPerStep),
        ratioText(contender.ratios['tf-adam']),
        ratioText(contender.ratios.adamw),
        fixed(100 * contender.optimizerShare, 1),
      ]),
    ),
  ].join('\n');
}

export const train: Suite<'train', TrainSpec> = {
  part: 'train',
  plan: (options) => ({
    specs: [{ timing: timing(options, 61, 2 * MIN_SAMPLE_SECONDS), batchSize: options.quick ? 8 : 32 }],
  }),
  describe: () => 'train',
  measure: async (spec) => [await runTrial('train', spec)],
  format: (runs) => runs.map(formatRun).join('\n\n'),
};
