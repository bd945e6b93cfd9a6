// The benchmark as users run it, on small lists: that it measures every contender and writes what its schema says.
// No assertion on times.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesPerParameter } from '../../bench/counts.js';
import { LISTS, sizeOf } from '../../bench/lists.js';
import { interleave } from '../../bench/measure.js';
import { readReport } from '../../bench/report_file.js';
import type { BenchReport, Summary, Timed } from '../../bench/schema.js';
import { ratioByRound } from '../../bench/statistics.js';
import { fitContenders, stepContender } from '../../bench/suites/step.js';
import { judgeTargets } from '../../bench/targets.js';
import { nativeInfo } from '../../src/native/index.js';
import { programFolder, root, runNode, temporaryFolder } from './support.js';

const MAIN = path.join(root, 'dist', 'tools', 'bench', 'main.js');
/** Copies past the caches need instructions that not every processor has. */
const STREAMS = process.arch === 'x64';
const KERNELS = [
  'copy',
  ...(STREAMS ? ['stream-copy'] : []),
  'ftp-adamw-rows',
  'ftp-adamw-columns',
  'ftp-sgd-momentum-rows',
  'ftp-sgd-momentum-columns',
  'ftp-adamw-bfloat16-rows',
  'ftp-adamw-bfloat16-columns',
  'adamw',
];

function checkSummary(summary: Summary, count: number): void {
  expect(summary.count).toBe(count);
  expect(summary.min).toBeGreaterThan(0);
  expect(summary.median).toBeGreaterThanOrEqual(summary.min);
  expect(summary.median).toBeLessThanOrEqual(summary.max);
  expect(summary.mad).toBeGreaterThanOrEqual(0);
}

test('--quick --suite kernels measures every kernel on 1 and on 2 threads', {
  timeout: 180_000,
}, async () => {
  const file = path.join(temporaryFolder(), 'bench.json');
  const { code, stdout, stderr } = await runNode([
    MAIN,
    '--quick',
    '--suite',
    'kernels',
    '--list',
    'tiny',
    '--rounds',
    '2',
    '--json',
    file,
  ]);
  expect(stderr).not.toMatch(/failed|left out/);
  expect(code).toBe(0);
  const report = JSON.parse(fs.readFileSync(file, 'utf8')) as BenchReport;

  expect(report.schemaVersion).toBe(1);
  expect(report.settings).toEqual({ suites: ['kernels'], lists: ['tiny'], rounds: 2, quick: true });
  expect(report.environment.node).toBe(process.version);
  expect(report.environment.cores).toBeGreaterThan(0);
  expect(report.leftOut).toEqual([]);
  expect([report.step, report.memory, report.train]).toEqual([[], [], []]);
  const { cores } = report.environment;
  expect(report.kernels.map(({ threads }) => threads)).toEqual([...new Set([1, Math.min(2, cores), cores])]);
  for (const run of report.kernels) {
    expect(run.list).toEqual({ name: 'tiny', label: '120 tiny', variables: 120, parameters: 48_800 });
    expect(run.contenders.map(({ name }) => name)).toEqual(KERNELS);
    expect(run.contenders.map((contender) => contender.bytesPerParameter)).toEqual([
      8,
      ...(STREAMS ? [8] : []),
      40,
      40,
      32,
      32,
      26,
      26,
      28,
    ]);
    for (const contender of run.contenders) {
      expect(contender.samples).toHaveLength(2);
      checkSummary(contender.secondsPerStep, 2);
      checkSummary(contender.shareOfCopy, 2);
      if (STREAMS) checkSummary(contender.shareOfStreamCopy as Summary, 2);
      expect(contender.gigabytesPerSecond).toBeGreaterThan(0);
      for (const ratio of Object.values(contender.ratios)) checkSummary(ratio, 2);
      expect(stdout).toContain(contender.label);
    }
    const columns = run.contenders.find(({ name }) => name === 'ftp-adamw-columns');
    expect(Object.keys(columns?.ratios ?? {})).toEqual([
      'ftp-adamw-rows',
      'ftp-sgd-momentum-rows',
      'ftp-adamw-bfloat16-rows',
      'adamw',
    ]);
  }
  expect(report.targets.length).toBeGreaterThanOrEqual(10);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  // The project's own: in the file, and printed for those who ask.
  expect(stdout).not.toContain('Targets');
  const shown = await Promise.all([[], ['--targets']].map((args) => runNode([MAIN, 'show', file, ...args])));
  expect(shown.map(({ stdout: text }) => text.includes('Targets'))).toEqual([false, true]);
  expect(report.targets.every(({ met, measured }) => met === null && measured === null)).toBe(true);
});

test('--suite cuda names what a machine without a GPU lacks, and fails nothing', async () => {
  const file = path.join(temporaryFolder(), 'bench.json');
  const env = { CUDA_VISIBLE_DEVICES: '', PATH: programFolder({}) };
  const { code, stdout } = await runNode([MAIN, '--suite', 'cuda', '--json', file], { env });
  expect(code).toBe(0);
  const { kind, report } = readReport(file);
  if (kind !== 'bench') throw new Error('expected the report of a whole run');
  expect(report.leftOut).toEqual([
    {
      what: 'cuda: build',
      reason: expect.stringMatching(/^no GPU that the kernels run on: \w/),
      failed: false,
    },
  ]);
  expect(stdout).toContain('- cuda: build: no GPU that the kernels run on: ');
  expect(report.cuda).toEqual([]);
  const { gpu, driver, toolkit } = report.environment;
  expect([gpu, driver]).toEqual([null, null]);
  expect(toolkit).toEqual(nativeInfo().build?.cuda ? expect.stringMatching(/^\d+\.\d+$/) : null);
});

test('bad arguments are refused before anything runs', async () => {
  const outcomes = await Promise.all(
    [
      ['--suite', 'all-of-it'],
      ['--rounds', '0'],
      ['--json', '/nowhere/bench.json'],
      ['--list', 'bert'],
    ].map((args) => runNode([MAIN, ...args])),
  );
  expect(outcomes.map(({ code }) => code)).toEqual([1, 1, 1, 1]);
  expect(outcomes[0]?.stderr).toContain('Allowed choices are step, kernels, train, cuda, all');
  expect(outcomes[1]?.stderr).toContain('a whole number > 0');
  expect(outcomes[2]?.stderr).toContain('cannot be written');
  expect(outcomes.map(({ stdout }) => stdout).join('')).toBe('');
});

test('the lists have the sizes of the models they stand for', () => {
  const sizes = LISTS.map((list) => {
    const { name, variables, parameters } = sizeOf(list);
    return [name, variables, parameters];
  });
  expect(sizes).toEqual([
    ['vit', 152, 86_567_656],
    ['resnet', 161, 25_557_032],
    ['vit-ti', 152, 5_717_416],
    ['tiny', 120, 48_800],
  ]);
  for (const { variables } of LISTS)
    expect(new Set(variables.map(({ name }) => name)).size).toBe(variables.length);
});

test('bytes a parameter are what the design counts', () => {
  expect(bytesPerParameter('copy')).toBe(8);
  expect(bytesPerParameter('ftp-adamw')).toBe(40);
  expect(bytesPerParameter('ftp-adamw', 'check')).toBe(44);
  expect(bytesPerParameter('adamw')).toBe(28);
});

describe('interleave', () => {
  const withGc = async <T>(body: () => Promise<T>): Promise<T> => {
    const scope = globalThis as { gc?: () => void };
    const before = scope.gc;
    scope.gc = () => {};
    try {
      return await body();
    } finally {
      if (before === undefined) delete scope.gc;
      else scope.gc = before;
    }
  };

  test('runs every contender once a round, first and last in turns', async () => {
    const order: string[] = [];
    const contenders = ['a', 'b', 'c'].map((name) => ({ name, run: () => void order.push(name) }));
    const timing = { rounds: 6, minSampleSeconds: 0, warmUpSteps: 1, warmUpSeconds: 0 };
    const samples = await withGc(() => interleave(contenders, timing));
    expect(samples.map(({ repeats, seconds }) => [repeats, seconds.length])).toEqual([
      [1, 6],
      [1, 6],
      [1, 6],
    ]);
    const rounds = order.slice(contenders.length).join('').match(/.{3}/g);
    expect(rounds).toEqual(['abc', 'cba', 'bca', 'acb', 'cab', 'bac']);
  });

  test('refuses to run where garbage cannot be collected between samples', async () => {
    const scope = globalThis as { gc?: () => void };
    const before = scope.gc;
    delete scope.gc;
    try {
      const timing = { rounds: 1, minSampleSeconds: 0, warmUpSteps: 1, warmUpSeconds: 0 };
      await expect(interleave([{ name: 'a', run: () => {} }], timing)).rejects.toThrow('--expose-gc');
    } finally {
      if (before !== undefined) scope.gc = before;
    }
  });
});

test('ratios are taken round by round', () => {
  // Both twice as slow in the second round: the ratio does not see it.
  expect(ratioByRound([1, 2, 3], [2, 4, 3])).toMatchObject({ median: 0.5, min: 0.5, max: 1, count: 3 });
  expect(() => ratioByRound([1], [1, 2])).toThrow(RangeError);
});

test('what does not fit into memory is left out, the hungriest first', () => {
  const contenders = ['tf-adam', 'ftp-adamw', 'reference-adamw'].map(stepContender);
  const names = (kept: typeof contenders) => kept.map(({ name }) => name);
  expect(names(fitContenders(contenders, 1e6, 'tensorflow', 2e9).kept)).toHaveLength(3);
  const tight = fitContenders(contenders, 25e6, 'tensorflow', 4e9);
  expect(names(tight.kept)).toEqual(['tf-adam', 'ftp-adamw']);
  expect(tight.dropped.map(({ contender, reason }) => [contender.name, reason])).toEqual([
    ['reference-adamw', 'all together need 4.6 GB, 4.0 GB are free'],
  ]);
  const wasm = fitContenders(contenders, 40e6, 'wasm', 1e12);
  expect(names(wasm.kept)).toEqual(['tf-adam', 'ftp-adamw']);
  expect(wasm.dropped[0]?.reason).toContain('ends at 4 GB');
});

test('targets are judged by medians, and only in full runs', () => {
  const summary = (median: number): Summary => ({ median, mad: 0, min: median, max: median, count: 1 });
  const run = (ratio: number) => ({
    step: [
      {
        backend: 'tensorflow',
        tensorflow: '2',
        list: sizeOf(LISTS[0] as (typeof LISTS)[number]),
        contenders: [{ name: 'ftp-adamw', ratios: { 'tf-adam': summary(ratio) } } as unknown as Timed],
      },
    ],
    kernels: [],
    train: [],
  });
  const [met] = judgeTargets(run(0.15), true);
  const [missed] = judgeTargets(run(0.151), true);
  const [quick, unmeasured] = judgeTargets(run(0.1), false);
  expect(met).toMatchObject({ limit: 0.15, met: true });
  expect(missed?.met).toBe(false);
  expect(quick).toMatchObject({ met: null, measured: { median: 0.1 } });
  expect(unmeasured).toMatchObject({ met: null, measured: null });
});
