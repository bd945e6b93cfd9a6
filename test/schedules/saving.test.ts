// An optimizer saves a schedule and has it again: training goes on with the same bits, and without a warning.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type FtpOptimizer, ftp, schedules } from '../../src/index.js';
import { fromConfigOf, memoryHandler, randomVariable, snapshot, stepOnce } from '../optimizers/support.js';

const schedule = schedules.join({
  schedules: [
    schedules.linearWarmup({ warmupTarget: 0.3, warmupSteps: 2 }),
    schedules.warmupCosine({ initialLearningRate: 0.3, decaySteps: 7, alpha: 0.1 }),
  ],
  boundaries: [2],
});

/** Warnings of this package from now on; tfjs greets with one. */
function ownWarnings(): () => unknown[] {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  return () => warn.mock.calls.filter(([text]) => String(text).startsWith('tfjs-ftp:'));
}

beforeAll(() => tf.setBackend('cpu'));
afterEach(() => vi.restoreAllMocks());

describe.each<[string, (rate: schedules.Schedule) => FtpOptimizer]>([
  ['adamw', (rate) => ftp.adamw(rate)],
  ['sgd', (rate) => ftp.sgd(rate, { momentum: 0.9 })],
])('ftp.%s', (_, make) => {
  it('goes on after loading with the bits of a run without a break', async () => {
    const warnings = ownWarnings();
    const variables = [randomVariable('a', [3, 4])];
    const optimizer = make(schedule);
    for (let step = 0; step < 3; ++step) stepOnce(optimizer, variables, step);
    const weights = await optimizer.getWeights();
    const config = optimizer.getConfig();
    const left = (variables[0] as tf.Variable).clone();
    for (let step = 3; step < 8; ++step) stepOnce(optimizer, variables, step);
    const expected = await snapshot(optimizer, variables);

    const resumed = fromConfigOf(optimizer, config);
    await resumed.setWeights(weights);
    (variables[0] as tf.Variable).assign(left);
    expect(resumed.getConfig()).toEqual(config);
    for (let step = 3; step < 8; ++step) stepOnce(resumed, variables, step);
    expect(await snapshot(resumed, variables)).toEqual(expected);
    expect((resumed as { learningRate?: number }).learningRate).toBe(schedule(8));
    expect(warnings()).toEqual([]);
    tf.dispose([weights.map(({ tensor }) => tensor), left, variables]);
    for (const each of [optimizer, resumed]) each.dispose();
  });
});

it.each([
  schedule,
  schedules.warmupCosine({ initialLearningRate: 0.1, decaySteps: 9 }),
  schedules.cosineRestarts({ initialLearningRate: 0.1, firstDecaySteps: 3 }),
  schedules.oneCycle({ maxLearningRate: 0.1, totalSteps: 20 }),
  schedules.polynomial({ initialLearningRate: 0.1, decaySteps: 9 }),
  schedules.exponential({ initialLearningRate: 0.1, decaySteps: 9, decayRate: 0.5 }),
  schedules.piecewise({ boundaries: [3], values: [0.1, 0.2], changeAt: '>=' }),
])('model.save and tf.loadLayersModel keep it: %o', async (rate) => {
  const warnings = ownWarnings();
  const model = layers.sequential({ layers: [layers.layers.dense({ units: 2, inputShape: [3] })] });
  model.compile({ optimizer: ftp.adamw(rate, { model }), loss: 'meanSquaredError' });
  const [xs, ys] = [tf.ones([4, 3]), tf.zeros([4, 2])];
  await model.fit(xs, ys, { epochs: 4, verbose: 0 });
  const { handler } = memoryHandler();
  await model.save(handler, { includeOptimizer: true });
  const loaded = await layers.loadLayersModel(handler);
  const optimizer = loaded.optimizer as unknown as { learningRate: number; getConfig(): unknown };
  expect(optimizer.getConfig()).toMatchObject({ schedule: rate.config });
  await loaded.fit(xs, ys, { epochs: 1, verbose: 0 });
  expect(optimizer.learningRate).toBe(rate(5));
  expect(warnings()).toEqual([]);
});

it('a number that is set takes its place', () => {
  const optimizer = ftp.adamw(schedule);
  optimizer.learningRate = 0.25;
  expect(optimizer.getConfig()).toMatchObject({ learningRate: 0.25, schedule: false });
  optimizer.learningRate = schedule;
  expect(optimizer.getConfig()).toMatchObject({ schedule: schedule.config });
  optimizer.dispose();
});

it('a description that this version does not have is STATE_MISMATCH', () => {
  const optimizer = ftp.adamw(schedule);
  const config = { ...optimizer.getConfig(), schedule: { name: 'later', options: {} } };
  expect(() => fromConfigOf(optimizer, config)).toThrow(
    expect.objectContaining({ code: 'STATE_MISMATCH', message: expect.stringContaining("got 'later'") }),
  );
  optimizer.dispose();
});
