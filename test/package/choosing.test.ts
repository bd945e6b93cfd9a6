// docs/choosing.md says how many values per parameter each method keeps: as many as the optimizers do.
import fs from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, test } from 'vitest';
import { adamw, digrap, fixedRadius, ftp, l2sp, sgd, spd } from '../../src/index.js';
import { root } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

const page = fs.readFileSync(path.join(root, 'docs', 'choosing.md'), 'utf8');
const section = page.slice(page.indexOf('\n## Memory'));
const rows = [...section.matchAll(/^\| (`.*`) \| (\d) \| (\d) \| (\d) \|$/gm)];

async function valuesPerParameter(optimizer: tf.Optimizer): Promise<number> {
  const shape = [5, 3];
  const variable = tf.variable(tf.ones(shape), true, 'w');
  optimizer.applyGradients({ w: tf.ones(shape) });
  const state = await optimizer.getWeights();
  const values = state.filter(({ tensor }) => String(tensor.shape) === String(shape)).length;
  optimizer.dispose();
  variable.dispose();
  return values;
}

type Factory = (rate: number, options: object) => tf.Optimizer;
type Method = { adamw: Factory; sgd: Factory };

const methods = { ftp, spd, fixedRadius, l2sp, digrap } as unknown as { [name: string]: Method };
const optionsOf: { [method: string]: object } = { fixedRadius: { radius: 1 } };

test('the table has every method', () => {
  const named = rows.flatMap(([, names = '']) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  expect(named.sort()).toEqual(['adamw', 'digrap', 'fixedRadius', 'ftp', 'l2sp', 'sgd', 'spd']);
});

describe.each(rows.map((row) => [...row] as string[]))('%s', (_, names = '', ...counts) => {
  test.each([...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name))('%s', async (name) => {
    const method = methods[name] ?? ({ adamw, sgd } as Method);
    const options = optionsOf[name] ?? {};
    const makers = [
      () => method.adamw(0.1, options),
      () => method.sgd(0.1, { ...options, momentum: 0.9 }),
      () => method.sgd(0.1, options),
    ];
    for (const [i, make] of makers.entries())
      expect(await valuesPerParameter(make())).toBe(Number(counts[i]));
  });
});
