/** The examples in the docstrings of the public interface run as they stand, against the built package. */
import { describe, expect, it } from 'vitest';
import { whyNoAddon } from '../backends/skip.js';
import { examplesIn, runExample } from './docstring_examples.js';

/** What an example that imports nothing takes for granted. */
const PRELUDE = `
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as tfdata from '@tensorflow/tfjs-data';
import { callbacks, digrap, FtpError, fixedRadius, ftp, l2sp, recipes, schedules, spd, trac } from 'tfjs-ftp';
import { Checkpointer, checkpoint, resumable } from 'tfjs-ftp/checkpoint';
import { mpi, parallel, shardDataset } from 'tfjs-ftp/parallel';
const model = layers.sequential({ layers: [layers.layers.dense({ units: 2, inputShape: [3] })] });
`;

/** What surrounds one example in particular, and the prelude with it, also where the example imports something itself. */
const AROUND: { [file: string]: { before: string; after: string } } = {
  'src/variables/constraint_report.ts': {
    before: `
      import { constraintTable } from 'tfjs-ftp';
      const optimizer = ftp.sgd(0.1);
    `,
    after: '',
  },
  'src/report/report.ts': { before: '', after: '' },
  'src/models/trainable.ts': {
    before: `
      import { loadGraphModel } from '@tensorflow/tfjs-converter';
      const graphModel = await loadGraphModel({ load: async () => ({
        modelTopology: { versions: { producer: 1, minConsumer: 1 }, node: [
          { name: 'x', op: 'Placeholder', attr: { shape: { shape: { dim: [{ size: '-1' }, { size: '3' }] } } } },
          { name: 'w', op: 'Const', attr: {} },
          { name: 'y', op: 'MatMul', input: ['x', 'w'] },
        ] },
        weightSpecs: [{ name: 'w', shape: [3, 2], dtype: 'float32' }],
        weightData: new Float32Array(6).buffer,
      }) });
      const [images, targets] = [tf.ones([2, 3]), tf.ones([2, 2])];
    `,
    after: `if (saved[0].weightData.byteLength !== 24) throw new Error('the example did not save');`,
  },
  'src/models/gradients/index.ts': { before: '', after: '' },
  'src/errors.ts': {
    before: `
      const optimizer = ftp.sgd(0.1);
      const gradients = { [model.weights[0].name]: tf.fill([3, 2], NaN) };
      let lowered = false;
      const lowerTheLearningRate = () => { lowered = true; };
    `,
    after: `if (!lowered) throw new Error('the example did not catch the error');`,
  },
  'src/checkpoint/callback.ts': {
    before: `
      process.chdir(fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-docstring-')));
      model.compile({ optimizer: ftp.adamw(1e-2, { model }), loss: 'meanSquaredError' });
      const examples = Array.from({ length: 40 }, (_, i) => ({ xs: [i, 1, 2], ys: [0, i] }));
      const held = [tf.ones([2, 3]), tf.ones([2, 2])];
    `,
    after: `
      const left = fs.readdirSync('runs/flowers');
      if (left.length !== 1 || !/-step-[0-9]+$/.test(left[0])) throw new Error(left.join());
    `,
  },
  'src/checkpoint/checkpointer.ts': {
    before: `process.chdir(fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-docstring-')));`,
    after: `
      const left = fs.readdirSync('runs/loop');
      if (left.join() !== '000003-step-15,000004-step-20') throw new Error(left.join());
    `,
  },
  'src/checkpoint/resumable.ts': {
    before: 'const tf_ = tf; { const tf = { ...tf_, data: tfdata };',
    after: '}',
  },
};

const native = ['src/native/index.ts', 'src/native/device_buffer.ts'];
const checkpointFiles = ['callback', 'checkpointer', 'resumable'].map((name) => `src/checkpoint/${name}.ts`);
const recipeFiles = ['freeze', 'interpolate', 'linear_probe', 'lpft', 'model', 'soup', 'tpgm'].map(
  (name) => `src/recipes/${name}.ts`,
);
const methods = [
  'src/spd.ts',
  'src/fixed_radius.ts',
  'src/l2_sp.ts',
  'src/digrap.ts',
  'src/trac.ts',
  'src/transforms/schedules.ts',
];
const parallelFiles = ['parallel', 'shard_dataset', 'world'].map((name) => `src/parallel/${name}.ts`);
const models = ['src/models/trainable.ts', 'src/models/gradients/index.ts'];
const files = [
  'src/ftp.ts',
  ...models,
  'src/errors.ts',
  'src/variables/constraint_report.ts',
  ...methods,
  ...recipeFiles,
  ...checkpointFiles,
  'src/report/report.ts',
  ...parallelFiles,
  ...native,
];
const examples = files.flatMap(examplesIn);

describe('examples in docstrings', () => {
  it('are found in every file that has some', () => {
    expect(new Set(examples.map(({ file }) => file))).toEqual(new Set(files));
    expect(examples.filter(({ file }) => file === 'src/ftp.ts')).toHaveLength(3);
  });

  for (const { file, code } of examples) {
    const reason = native.includes(file) ? whyNoAddon() : null;
    const title = `${file}: ${code.split('\n').find((line) => /(ftp|digrap|spd|fixedRadius|l2sp|trac|schedules)\.|recipes\.|Checkpointer\(|checkpoint\(|resumable\(|createFusedStep\(|tf\.grad\(|DeviceBuffer\.from|try/.test(line))}`;
    it.skipIf(reason !== null)(reason === null ? title : `${title} (skipped: ${reason})`, () => {
      const { before, after } = AROUND[file] ?? { before: '', after: '' };
      const isComplete = code.includes('import ') && AROUND[file] === undefined;
      const complete = isComplete ? code : `${PRELUDE}${before}\n${code}\n${after}`;
      expect(runExample(complete)).not.toContain('undefined');
    });
  }
});
