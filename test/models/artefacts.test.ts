// Published models, fine-tuned with FTP for a few steps: as loaded, by the rows of their operations, and saved again.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import '../../src/models/gradients/index.js';
import { ftp } from '../../src/index.js';
import { type TrainableGraphModel, type TrainableOptions, trainable } from '../../src/models/index.js';
import { OutputAxes } from '../../src/variables/output_axis.js';
import { describeOrSkip, whyNoTensorflow } from '../backends/skip.js';
import { numbers } from '../optimizers/support.js';
import { load, memory } from './graph_builder.js';

const require = createRequire(import.meta.url);
const noTensorflow = await whyNoTensorflow();

/** The folder of a package; null: it is not installed. */
function folderOf(name: string): string | null {
  const folder = path.join(path.dirname(require.resolve('vitest/package.json')), '..', name);
  return fs.existsSync(path.join(folder, 'package.json')) ? folder : null;
}

const human = folderOf('@vladmandic/human');
const nsfwjs = folderOf('nsfwjs');

type Json = tf.io.ModelJSON & { signature?: tf.io.ModelArtifacts['signature'] };

function artifacts(json: Json, weights: Uint8Array): tf.io.ModelArtifacts {
  const { weightsManifest, ...rest } = json;
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  return { ...rest, weightSpecs, weightData: Uint8Array.from(weights).buffer };
}

function fromHuman(name: string): tf.io.ModelArtifacts {
  const file = path.join(human as string, 'models', name);
  return artifacts(JSON.parse(fs.readFileSync(`${file}.json`, 'utf8')), fs.readFileSync(`${file}.bin`));
}

function fromNsfwjs(): tf.io.ModelArtifacts {
  const folder = path.join(nsfwjs as string, 'dist', 'models', 'mobilenet_v2_mid');
  const json = require(path.join(folder, 'model.min.js')) as Json;
  const shards = json.weightsManifest.flatMap(({ paths }) => paths);
  const texts = shards.map((shard) => require(path.join(folder, `${shard}.min.js`)) as string);
  return artifacts(json, Buffer.concat(texts.map((text) => Buffer.from(text, 'base64'))));
}

/** CenterNet for 128 pixels in place of 512: the sizes of its three enlargements are constants. */
function centernet(): tf.io.ModelArtifacts {
  const model = fromHuman('centernet');
  let offset = 0;
  let changed = 0;
  const bytes = { float16: 2, uint8: 1, uint16: 2, float32: 4, int32: 4 } as Record<string, number>;
  for (const { name, shape, dtype, quantization } of model.weightSpecs ?? []) {
    const size = tf.util.sizeFromShape(shape);
    if (/up_sampling2d(_\d)?\/mul$/.test(name)) {
      const view = new DataView(model.weightData as ArrayBuffer, offset, 4 * size);
      for (let i = 0; i < size; ++i) view.setInt32(4 * i, view.getInt32(4 * i, true) / 4, true);
      ++changed;
    }
    offset += size * (bytes[quantization?.dtype ?? dtype] as number);
  }
  expect(changed).toBe(3);
  return model;
}

interface Artefact {
  name: string;
  missing: string | null;
  artifacts: () => tf.io.ModelArtifacts;
  options: TrainableOptions;
  input: number[];
  scale: number;
  learningRate: number;
  variables: number;
  /** Share of the loss that may be left after the steps. */
  left: number;
}

const missing = (folder: string | null, name: string) =>
  folder === null ? `${name} is not installed` : null;

const ARTEFACTS: Artefact[] = [
  {
    name: 'CenterNet on MobileNetV3 (human), its dense head',
    missing: missing(human, '@vladmandic/human'),
    artifacts: centernet,
    options: {
      outputs: ['tower_0/CenternetHead/mul', 'tower_0/CenternetHead/concat'],
      inputShapes: { 'tower_0/images': [-1, 128, 128, 3] },
    },
    input: [2, 128, 128, 3],
    scale: 127,
    learningRate: 1e-4,
    variables: 160,
    left: 0.9,
  },
  {
    name: 'MobileNetV2 mid (nsfwjs), its logits',
    missing: missing(nsfwjs, 'nsfwjs'),
    artifacts: fromNsfwjs,
    options: { outputs: ['StatefulPartitionedCall/sequential/dense/BiasAdd'] },
    input: [2, 224, 224, 3],
    scale: 0.5,
    learningRate: 2e-5,
    variables: 106,
    left: 0.9,
  },
  {
    name: 'face mesh (human), its three outputs',
    missing: missing(human, '@vladmandic/human'),
    artifacts: () => fromHuman('facemesh'),
    options: {},
    input: [2, 192, 192, 3],
    scale: 0.5,
    learningRate: 1e-3,
    variables: 114,
    left: 0.9,
  },
];

interface RawNode {
  name: string;
  op: string;
  input?: string[];
}

/** `[outer, rows, inner]` of weights by the operations that model.json has them in, told apart by nothing but their names. */
function expectedRows(model: tf.io.ModelArtifacts, names: string[]): Record<string, number[]> {
  const { node } = model.modelTopology as { node: RawNode[] };
  const shapes = new Map(model.weightSpecs?.map(({ name, shape }) => [name, shape]));
  return Object.fromEntries(
    names.map((name) => {
      const shape = shapes.get(name) as number[];
      const size = tf.util.sizeFromShape(shape);
      const reader = node.find(({ input }) => input?.includes(name)) as RawNode;
      const [h = 1, w = 1, c = 1, m = 1] = shape;
      if (reader.input?.[1] !== name || shape.length < 2 || /^(Prelu|AddV2|Mul)$/.test(reader.op))
        return [name, [1, 1, size]];
      if (/Depthwise/.test(reader.op)) return [name, [h * w, c * m, 1]];
      if (/MatMul/.test(reader.op)) return [name, [h, w, 1]];
      expect(reader.op).toMatch(/Conv2D$/);
      return [name, [h * w * c, m, 1]];
    }),
  );
}

const tensorsOf = (output: ReturnType<TrainableGraphModel['predict']>): tf.Tensor[] =>
  output instanceof tf.Tensor ? [output] : (Object.values(output) as tf.Tensor[]);

for (const artefact of ARTEFACTS) {
  const { name, options, input, scale, learningRate, variables, left } = artefact;
  describeOrSkip(
    name,
    artefact.missing ?? noTensorflow,
    () => {
      beforeAll(async () => {
        await tf.setBackend('tensorflow');
      });

      it('is fine-tuned with FTP, saved, and loads with the same outputs', async () => {
        const loaded = await load(artefact.artifacts());
        const tensors = tf.memory().numTensors;
        const model = trainable(loaded, options);
        expect(model.check()).toEqual([]);
        const axes = new OutputAxes(model, undefined);
        const seen = Object.fromEntries(
          model.variables.map(({ name, shape }) => {
            const { outer, rows, inner } = axes.layoutOf(name, shape);
            return [name, [outer, rows, inner]];
          }),
        );
        expect(tf.memory().numTensors).toBe(tensors);
        expect(seen).toEqual(expectedRows(artefact.artifacts(), Object.keys(seen)));
        expect(model.variables).toHaveLength(variables);

        const x = tf.tidy(() =>
          tf.mul(tf.add(tf.tensor(numbers(tf.util.sizeFromShape(input), 5), input), 1), scale),
        );
        const start = tensorsOf(model.predict(x));
        const targets = start.map((y, i) => tf.tidy(() => tf.add(tf.mul(y, 0.8), 0.1 * (i + 1))));
        const loss = () =>
          tf.addN(
            tensorsOf(model.predict(x)).map((y, i) =>
              tf.mean(tf.squaredDifference(y, targets[i] as tf.Tensor)),
            ),
          ) as tf.Scalar;
        const optimizer = ftp.adamw(learningRate, { model });
        const losses: number[] = [];
        const counts: number[] = [];
        for (let i = 0; i < 6; ++i) {
          const value = optimizer.minimize(loss, true) as tf.Scalar;
          losses.push(value.dataSync()[0] as number);
          value.dispose();
          counts.push(tf.memory().numTensors);
        }
        expect(losses.at(-1)).toBeLessThan(left * (losses[0] as number));
        expect(new Set(counts.slice(1)).size).toBe(1);

        const { handler, saved } = memory();
        await model.save(handler);
        const again = await load(saved());
        const here = tensorsOf(model.predict(x));
        const names = options.outputs;
        const there = tensorsOf(names === undefined ? again.predict(x) : again.execute(x, [...names]));
        for (const [i, y] of here.entries()) {
          expect(Array.from(there[i]?.dataSync() ?? [])).toEqual(Array.from(y.dataSync()));
        }
        optimizer.dispose();
        tf.dispose([x, start, targets, here, there]);
        again.dispose();
        model.dispose();
      });
    },
    { mayBeMissing: artefact.missing !== null },
  );
}
