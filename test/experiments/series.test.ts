// A series runs each thing once, goes on after an end at any moment, chooses on validation alone, and is reported.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METHOD_NAMES, METHODS, methodOf, PROBE, rateOf, traceOf } from '../../experiments/methods.js';
import { batchesOf, doRun, Subject } from '../../experiments/run.js';
import { Plan, runSeries } from '../../experiments/series.js';
import { hashOf, type RunKey, RunStore, scoresOf } from '../../experiments/store.js';
import { Random } from '../../tools/random.js';
import { PROTOCOL, toyTask } from './support.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-experiments-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  await tf.setBackend('cpu');
});

const quiet = { say: () => {} };
const filesIn = (store: string) => fs.readdirSync(path.join(store, 'toy')).sort();

describe('a series', () => {
  const store = path.join(folder, 'series');
  const options = { methods: ['probe', 'ftp'] as const, seeds: 2, protocol: PROTOCOL, trace: false };

  it('goes on where it was stopped, and runs nothing twice', async () => {
    const task = toyTask();
    let runs = 0;
    const stopping = {
      ...quiet,
      onRun: () => {
        if (++runs === 5) throw new Error('killed');
      },
    };
    await expect(runSeries(task, new RunStore(store), options, stopping)).rejects.toThrow('killed');
    const before = filesIn(store).map((file) => fs.statSync(path.join(store, 'toy', file)).mtimeMs);
    expect(before).toHaveLength(5);
    const numbers: number[] = [];
    await runSeries(task, new RunStore(store), options, {
      ...quiet,
      onRun: (_, number) => numbers.push(number),
    });
    // Six settings of each method with the first seed, and the chosen one of each with the second.
    expect(numbers).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14]);
    expect(filesIn(store)).toHaveLength(14);
    expect(task.opened).toEqual([1, 1, 2]);
    await runSeries(task, new RunStore(store), options, quiet);
    expect(task.opened).toEqual([1, 1, 2]);
  });

  it('takes the settings of the best validation accuracy to the other seeds', async () => {
    const all = await new RunStore(store).all('toy');
    const first = all.filter(({ key }) => key.method === 'ftp' && key.seed === 1);
    const best = first.reduce((a, b) =>
      b.validation.mean > a.validation.mean ||
      (b.validation.mean === a.validation.mean &&
        (b.validation.loss as number) < (a.validation.loss as number))
        ? b
        : a,
    );
    const second = all.filter(({ key }) => key.method === 'ftp' && key.seed === 2);
    expect(second.map(({ key }) => key.settings)).toEqual([best.key.settings]);
  });

  it('says which file is no run', async () => {
    const broken = path.join(folder, 'broken');
    fs.mkdirSync(path.join(broken, 'toy'), { recursive: true });
    fs.writeFileSync(path.join(broken, 'toy', 'ftp-0.json'), '{"key": 3}');
    await expect(new RunStore(broken).all('toy')).rejects.toThrow(/ftp-0\.json is no run/);
  });
});

describe('a run', () => {
  const key = (method: string, more: Partial<RunKey> = {}): RunKey => ({
    ...{ task: 'toy', version: 1, method, seed: 1, protocol: PROTOCOL },
    settings: methodOf(method as 'ftp').grid[0] as RunKey['settings'],
    ...more,
  });

  it('is named by all that decides on it, in whatever order that is written', () => {
    const one = key('ftp');
    const turned = Object.fromEntries(Object.entries(one).reverse()) as unknown as RunKey;
    expect(hashOf(turned)).toBe(hashOf(one));
    const others = [
      key('ftp', { seed: 2 }),
      key('ftp', { version: 2 }),
      key('ftp', { settings: { ...one.settings, learningRate: 0.5 } }),
      key('ftp', { protocol: { ...PROTOCOL, steps: 5 } }),
    ];
    expect(new Set([one, ...others].map(hashOf)).size).toBe(5);
  });

  it.each(METHOD_NAMES)('of %s starts from the same weights, and leaves no tensor', async (name) => {
    const subject = new Subject(await toyTask().open(1, PROTOCOL, () => {}));
    const method = methodOf(name);
    const first = await doRun(subject, key(name), method);
    const before = tf.memory().numTensors;
    const again = await doRun(subject, key(name), method);
    expect(tf.memory().numTensors).toBe(before);
    const { secondsPerStep: _, ...same } = first;
    const { secondsPerStep: __, ...repeated } = again;
    expect(repeated).toEqual(same);
    const { inDistribution, domains, moved, leftOut } = first;
    expect(scoresOf(inDistribution)).toHaveLength(12);
    expect(inDistribution.predictions).toHaveLength(12);
    expect(domains.map((domain) => [domain.name, scoresOf(domain.result).length])).toEqual([
      ['moved', 12],
      ['further', 10],
      ['noise', 12],
    ]);
    expect(first.units[first.unitLists[inDistribution.list]?.[3] as number]).toBe('item 3');
    expect(leftOut).toEqual([{ name: 'photographs', reason: 'there is no camera' }]);
    // The probe trains the head alone; the first step of FTP puts weights on their anchor, later ones do not.
    if (name === 'probe') expect(moved['body/kernel']).toBe(0);
    else if (first.alpha !== 0) expect(moved['body/kernel']).toBeGreaterThan(0);
    expect(first.alpha === undefined).toBe(name !== 'wiseft');
    subject.dispose();
    subject.task.dispose();
  });

  it('that diverges is a result', async () => {
    const subject = new Subject(await toyTask().open(1, PROTOCOL, () => {}));
    const wild = key('sgd', {
      settings: { ...PROBE, learningRate: 1e30 },
      protocol: { ...PROTOCOL, steps: 12 },
    });
    const run = await doRun(subject, wild, METHODS.sgd);
    expect(run.divergedAt).toBeGreaterThan(1);
    const store = new RunStore(path.join(folder, 'wild'));
    await store.save(run);
    expect((await store.find(wild))?.divergedAt).toBe(run.divergedAt);
    subject.dispose();
    subject.task.dispose();
  });
});

it('tries as many settings of each method, each a different one', () => {
  const plan = new Plan(toyTask(), PROTOCOL);
  for (const name of METHOD_NAMES) {
    const { grid, extra } = plan.firstSeed(name, true);
    expect(new Set(grid.map(hashOf)).size, name).toBe(6);
    expect(new Set([...grid, ...extra].map(hashOf)).size).toBe(grid.length + extra.length);
    expect(extra.length).toBeLessThanOrEqual(traceOf(name).length);
  }
});

it('lets the rate rise for the warm-up and fall to nothing', () => {
  const settings = { learningRate: 0.1, warmup: 0.2, headRate: 1 };
  const warm = rateOf(settings, 10);
  expect([0, 1, 2].map((step) => warm(step))).toEqual([0, expect.closeTo(0.05), expect.closeTo(0.1)]);
  expect(warm(10)).toBeCloseTo(0);
  const cold = rateOf({ ...settings, warmup: 0 }, 10);
  expect(cold(0)).toBeCloseTo(0.1);
  expect(cold(5)).toBeCloseTo(0.05);
});

it('draws each example once before one comes again', () => {
  const batches = batchesOf(7, 3, new Random(1));
  const drawn = Array.from({ length: 7 }, () => batches.next().value).flat();
  for (let round = 0; round < 3; ++round) {
    expect(drawn.slice(7 * round, 7 * (round + 1)).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  }
});
