/**
 * `npm run experiments:speed`: the time of a whole training step (forward, backward, update) with each of several optimizers, on
 * MobileNetV2 as the experiments train it. All take turns, so that what else the machine does meets all alike.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { Command } from 'commander';
import { median } from 'simple-statistics';
import { adamw, ftp, recipes, spd } from 'tfjs-ftp';
import { startTensorFlow } from '../demo/runtime.js';
import { count } from '../tools/cli_values.js';
import { Random } from '../tools/random.js';
import { table } from '../tools/table.js';
import { mobileNetPart } from './networks/mobilenet.js';

interface Options {
  rounds: number;
  batchSize: number;
  imageSize: number;
}

interface Contender {
  name: string;
  /** A step, over when it returns. */
  step(): Promise<void>;
}

const CLASSES = 24;
const HEAD = 'head';
const RATE = 1e-4;
/** Of each contender, not counted. */
const WARM_UP_ROUNDS = 2;

async function buildNet(from: string | null, shape: readonly number[]): Promise<layers.LayersModel> {
  const part = await mobileNetPart(from, 'block_10_project_BN', shape);
  const features = layers.layers
    .globalAveragePooling2d({ dataFormat: 'channelsLast' })
    .apply(part.outputs[0] as layers.SymbolicTensor);
  const logits = layers.layers.dense({ name: HEAD, units: CLASSES }).apply(features) as layers.SymbolicTensor;
  return layers.model({ inputs: part.inputs, outputs: logits });
}

/** The optimizers, on a model of their own each: TensorFlow's cache of memory is then as in a training of its own. */
async function contenders(
  build: () => Promise<layers.LayersModel>,
  batch: { xs: tf.Tensor; ys: tf.Tensor },
): Promise<Contender[]> {
  const make = async (
    name: string,
    optimizerOf: (model: layers.LayersModel) => tf.Optimizer,
    more: {
      folded?: boolean;
      penalty?: (model: layers.LayersModel) => () => tf.Scalar;
      after?: (model: layers.LayersModel) => () => Promise<unknown>;
    } = {},
  ): Promise<Contender> => {
    const model = await build();
    if (more.folded === false) recipes.freezeBatchNorm(model);
    else recipes.foldBatchNorm(model);
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const optimizer = optimizerOf(model);
    const penalty = more.penalty?.(model);
    const after = more.after?.(model);
    const lossOf = () => {
      const logits = model.apply(batch.xs, { training: true }) as tf.Tensor;
      const loss = tf.losses.softmaxCrossEntropy(batch.ys, logits) as tf.Scalar;
      return penalty === undefined ? loss : (tf.add(loss, penalty()) as tf.Scalar);
    };
    return {
      name,
      async step() {
        const cost = tf.tidy(() => optimizer.minimize(lossOf, true, variables) as tf.Scalar);
        await after?.();
        await cost.data();
        // Reading a weight: an update need not be over when the loss is.
        await (variables.at(-1) as tf.Variable).data();
        cost.dispose();
      },
    };
  };
  const exclude = [{ layer: HEAD }];
  const ofFtp = (model: layers.LayersModel) => ftp.adamw(RATE, { model, exclude });
  /** As users write it: the squared distance to the anchors, in the loss. */
  const penalty = (model: layers.LayersModel) => {
    const held = model.layers.filter(({ name }) => name !== HEAD).flatMap((layer) => layer.trainableWeights);
    const anchors = held.map((weight) => weight.read().clone());
    return () =>
      tf.mul(
        tf.addN(
          held.map((weight, i) => tf.sum(tf.squaredDifference(weight.read(), anchors[i] as tf.Tensor))),
        ),
        0.01,
      ) as tf.Scalar;
  };
  const radii = (model: layers.LayersModel) => {
    const held = recipes.tpgm(model, {
      anchor: recipes.copyWeights(model),
      heldOut: batch,
      batchSize: batch.xs.shape[0] as number,
      loss: (ys, predictions) =>
        tf.losses.softmaxCrossEntropy(ys as tf.Tensor, predictions as tf.Tensor) as tf.Scalar,
      exclude,
    });
    return () => held.afterStep();
  };
  return [
    await make('tf.train.adam', () => tf.train.adam(RATE)),
    await make('adamw', (model) => adamw(RATE, { model })),
    await make('FTP', ofFtp),
    await make('SPD', (model) => spd.adamw(RATE, { model, exclude })),
    await make('L2-SP in the loss, tf.train.adam', () => tf.train.adam(RATE), { penalty }),
    await make('TPGM at each step, adamw', (model) => adamw(RATE, { model }), { after: radii }),
    await make('FTP, normalization frozen and not folded', ofFtp, { folded: false }),
  ];
}

async function measure(title: string, all: readonly Contender[], rounds: number): Promise<void> {
  const seconds = all.map(() => [] as number[]);
  const random = new Random('turns');
  for (let round = -WARM_UP_ROUNDS; round < rounds; ++round) {
    for (const i of random.shuffle(all.map((_, index) => index))) {
      const start = performance.now();
      await (all[i] as Contender).step();
      if (round >= 0) seconds[i]?.push((performance.now() - start) / 1000);
    }
  }
  const rows = all.map(({ name }, i) => {
    // Of the steps of one round: what slows the machine down slows both.
    const ratio = (base: number) =>
      median(
        (seconds[i] as number[]).map((value, round) => value / (seconds[base]?.[round] as number)),
      ).toFixed(2);
    return [name, (1000 * median(seconds[i] as number[])).toFixed(0), ratio(0), ratio(2)];
  });
  console.log(`\n${title}, ${rounds} rounds`);
  console.log(table(['', 'ms a step', 'of tf.train.adam', 'of FTP'], rows));
}

async function main({ rounds, batchSize, imageSize }: Options): Promise<void> {
  const { backend, tensorflow, threads } = await startTensorFlow();
  console.log(
    `TensorFlow ${tensorflow} through tfjs backend ${backend}, ${threads} threads, batches of ${batchSize}`,
  );
  const quarter = imageSize / 4;
  const nets = [
    { title: 'from block_3 on, as in the experiments', from: 'block_2_add', shape: [quarter, quarter, 24] },
    { title: `the whole net, images of ${imageSize}`, from: null, shape: [imageSize, imageSize, 3] },
  ];
  for (const { title, from, shape } of nets) {
    const batch = {
      xs: tf.randomUniform([batchSize, ...shape], 0, 1, 'float32', 1),
      ys: tf.oneHot(
        tf.mod(tf.range(0, batchSize, 1, 'int32'), tf.scalar(CLASSES, 'int32')) as tf.Tensor1D,
        CLASSES,
      ) as tf.Tensor,
    };
    await measure(title, await contenders(() => buildNet(from, shape), batch), rounds);
  }
}

const command = new Command('npm run experiments:speed --')
  .description('Times whole training steps with each optimizer, all in turns.')
  .option('--rounds <n>', 'steps of each', count, 30)
  .option('--batch-size <n>', 'images a step', count, 32)
  .option('--image-size <n>', 'pixels of a side, a multiple of 32', count, 64);
await command.parseAsync();
await main(command.opts<Options>());
