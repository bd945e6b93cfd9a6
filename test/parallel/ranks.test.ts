// Steps of several ranks: those of one process on the joined batch, the same bits with every MPI and with shares.
import { describe, expect, test } from 'vitest';
import { type Case, KINDS, launch, type Report, reportsOf, whyNot } from './launch.js';

const SMALL = { bucketMegabytes: 0.0005 };
/** Each is trained without and with shares. */
const SHARED: Case[] = [
  { options: { globalClipNorm: 0.5, ema: { momentum: 0.9 } }, swap: true },
  { method: 'ftpSgd', options: { clipNorm: 0.3, accumulate: 2, exclude: ['b/'] }, steps: 5 },
  { method: 'spd', options: { groups: [{ match: { layer: 'b' }, learningRateScale: 2 }] } },
  { method: 'adamw', options: { gradientNorm: true, implementation: 'reference' }, steps: 3 },
  { options: { nonFinite: 'skip', accumulate: 2 }, nanAt: 2, steps: 4 },
  { badAt: 2, otherAt: 1, steps: 3 },
  { nanAt: 1, steps: 3 },
];
const ALONE: Case[] = [
  { method: 'wrap', options: { clipValue: 0.2 } },
  { options: { learn: { learningRate: {} } }, steps: 6 },
];
const CASES = [
  ...SHARED,
  ...SHARED.map((one) => ({ ...one, sharing: { shard: true, ...SMALL } })),
  ...ALONE,
  { method: 'ftpSgd', tell: true, sharing: SMALL },
];

const skipped = KINDS.flatMap((kind) => whyNot(kind) ?? []);
const present = KINDS.filter((kind) => whyNot(kind) === null);
for (const why of skipped) test.skip(`ranks: ${why}`, () => {});

/** Weights and state, but for what belongs to one way of training. */
const bitsOf = ({ weights, state, average, norm, skipped: left, iterations, learned }: Report) => ({
  weights,
  state,
  average,
  norm,
  left,
  iterations,
  learned,
});

const known = new Map<number, Report[]>();

describe.each(present)('%s', (kind) => {
  test.each(kind === 'mpich' ? [2, 3, 4] : [2, 4])('%i ranks', async (ranks) => {
    const reports = await reportsOf(launch(kind, ranks, CASES), ranks);
    const [first = []] = reports;
    expect(first).toHaveLength(CASES.length);
    for (const [i, one] of first.entries()) {
      expect(one.leaked, JSON.stringify(CASES[i])).toBe(0);
      for (const other of reports) expect(bitsOf(other[i] as Report)).toEqual(bitsOf(one));
    }
    for (const i of SHARED.keys()) {
      const shared = reports.map((one) => one[i + SHARED.length] as Report);
      expect(bitsOf(shared[0] as Report), JSON.stringify(SHARED[i])).toEqual(bitsOf(first[i] as Report));
      expect([...(shared[0]?.names ?? [])].sort()).toEqual([...(first[i]?.names ?? [])].sort());
      expect(shared.reduce((sum, { own }) => sum + own, 0)).toBe(first[i]?.own);
    }
    for (const i of [4, 4 + SHARED.length]) {
      expect(first[i]?.skipped).toBe(1);
    }
    for (const i of [5, 5 + SHARED.length]) {
      for (const [rank, one] of reports.entries()) {
        const [other, bad] = one[i]?.errors ?? [];
        expect(other).toMatch(/^RANKS_DIFFER: the ranks must take the same step/);
        expect(bad).toMatch(
          rank === ranks - 1
            ? /^RangeError: gradient of 'a\/bias' must have/
            : new RegExp(`^RANKS_DIFFER: rank ${ranks - 1} failed before step`),
        );
        expect(one[i + 1]?.errors).toEqual([
          expect.stringMatching(/^NON_FINITE_GRADIENT: gradient of 'b\/kernel'/),
        ]);
      }
    }
    // The bits depend on the number of ranks alone.
    const before = known.get(ranks);
    if (before !== undefined) expect(first.map(bitsOf)).toEqual(before.map(bitsOf));
    known.set(ranks, first);

    const joined = { method: 'ftpSgd', tell: true, parts: ranks };
    const [[one] = []] = await reportsOf(launch(null, 1, [joined]), 1);
    const values = one?.values ?? [];
    const differences = values.map((value, i) => Math.abs(value - (first.at(-1)?.values?.[i] as number)));
    // Either way rounds each weight once per step.
    const largest = Math.max(...values.map((value) => Math.abs(value)));
    expect(Math.max(...differences)).toBeLessThanOrEqual(5 * 2 ** -23 * largest);
  });

  test('the functions of a world', async () => {
    const told = await reportsOf<{ [name: string]: unknown }>(launch(kind, 3, [{ talk: true }]), 3);
    for (const [rank, [one]] of told.entries()) {
      expect(one).toMatchObject({
        rank,
        size: 3,
        same: true,
        library: expect.stringMatching(kind === 'openmpi' ? /^Open MPI v/ : /^MPICH Version/),
        sum: 6,
        mean: [1, -1, 0.5],
        max: [2, 0],
        min: 0,
        given: [rank, 0 - rank, 0.5],
        told: 'from 2',
        half: rank === 1 ? [0, 1, 1] : [rank === 2 ? 0 : 1, 2, 2],
      });
    }
  });
});

test('one process: no MPI, and nothing is exchanged', async () => {
  const cases = [{ talk: true }, { steps: 3 }, { steps: 3, sharing: { shard: true } }];
  const [[talk, ...trained] = []] = await reportsOf(launch(null, 1, cases), 1);
  expect(talk).toMatchObject({
    rank: 0,
    size: 1,
    library: null,
    sum: 1,
    min: 0,
    told: 'from 0',
    half: [0, 1, 0],
  });
  expect(trained[1]).toEqual(trained[0]);
});
