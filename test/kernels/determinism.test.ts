/** The same inputs give the same bits: any number of threads, any alignment, in place or not, any instruction set. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { sameBits } from '../backends/golden_replay.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { randomArray } from '../optimizers/scenario.js';
import { type Layout, ORACLE_DEFAULTS, type OracleOptions } from '../reference/ftp_float64.js';
import { addonOrThrow, elementsOf, FORMATS, KernelModel } from './kernel_model.js';

const LEVELS = ['sse2', 'avx2', 'avx512'] as const;

/** One model that touches every walk of the kernels, small and shared variables alike. */
const LAYOUTS: readonly Layout[] = [
  { outer: 1, rows: 1, inner: 1 },
  { outer: 1, rows: 1, inner: 200_003 },
  { outer: 1, rows: 3, inner: 70_001 },
  { outer: 1, rows: 50_021, inner: 3 },
  { outer: 1, rows: 1_301, inner: 130 },
  { outer: 997, rows: 131, inner: 1 },
  { outer: 140_001, rows: 3, inner: 1 },
  { outer: 3, rows: 9_001, inner: 1 },
  { outer: 29, rows: 41, inner: 43 },
  { outer: 1, rows: 7, inner: 11 },
  { outer: 1, rows: 1, inner: 1_100_003 },
];

const ADAMW: OracleOptions = { ...ORACLE_DEFAULTS, base: 'adamw', weightDecay: 0.05, amsgrad: true };
const SGD: OracleOptions = { ...ORACLE_DEFAULTS, base: 'sgd', momentum: 0.9, dampening: 0.1 };
const OPTIONS: readonly (readonly [string, OracleOptions, number])[] = [
  ['AdamW', ADAMW, FORMATS.float32],
  ['SGD', SGD, FORMATS.float32],
  ['AdamW in bfloat16', ADAMW, FORMATS.bfloat16],
  ['SGD in bfloat16', SGD, FORMATS.bfloat16],
];

const STEPS = 3;

const specs = () =>
  LAYOUTS.map((layout, i) => ({
    layout,
    weights: randomArray(elementsOf(layout), 0.5, 100 + i),
    excluded: i % 4 === 3,
  }));

/** Gradients with tiny values too: g * g is subnormal for some, and no thread may flush what another keeps. */
const gradientsOf = (step: number) =>
  LAYOUTS.map((layout, i) => {
    const gradient = randomArray(elementsOf(layout), 1, 1000 * step + i);
    return i % 3 === 2 ? gradient.map((g, j) => (j % 5 === 0 ? g * 1e-20 : g)) : gradient;
  });

const gradients = Array.from({ length: STEPS }, (_, step) => gradientsOf(step));

function run(
  options: OracleOptions,
  {
    threads = 1,
    byteOffset = 0,
    inPlace = false,
    format = FORMATS.float32,
  }: { threads?: number; byteOffset?: number; inPlace?: boolean; format?: number },
): Float32Array[] {
  const model = new KernelModel(options, specs(), byteOffset, inPlace, format);
  for (const given of gradients) model.step({ learningRate: 1e-2, threads }, given);
  return model.snapshot();
}

function expectSame(a: Float32Array[], b: Float32Array[]): void {
  expect(a.length).toBe(b.length);
  const different = a.flatMap((array, i) => (sameBits(array, b[i] as Float32Array) ? [] : [i]));
  expect(different, 'positions in snapshot() that differ').toEqual([]);
}

describeOrSkip('the same bits', whyNoAddon(), () => {
  describe.each(OPTIONS)('%s', (_name, options, format) => {
    let reference: Float32Array[] | undefined;
    const expected = () => {
      reference ??= run(options, { format });
      return reference;
    };

    it('twice', () => expectSame(run(options, { format }), expected()));

    it.each([2, 3, 8])('with %i threads', (threads) =>
      expectSame(run(options, { threads, format }), expected()),
    );

    it('with the default number of threads', () =>
      expectSame(run(options, { threads: 0, format }), expected()));

    it.each([4, 12, 20, 36])('at byte offset %i', (byteOffset) => {
      expectSame(run(options, { byteOffset, threads: 2, format }), expected());
    });

    it('written over the weights', () =>
      expectSame(run(options, { inPlace: true, threads: 2, format }), expected()));

    it('in another order of variables', () => {
      const reversed = new KernelModel(options, specs().reverse(), 0, false, format);
      for (const given of gradients) reversed.step({ learningRate: 1e-2, threads: 3 }, [...given].reverse());
      const model = new KernelModel(options, specs(), 0, false, format);
      for (const given of gradients) model.step({ learningRate: 1e-2, threads: 3 }, given);
      const last = LAYOUTS.length - 1;
      for (const i of LAYOUTS.keys()) {
        const [a, b] = [model.variables[i]?.weights, reversed.variables[last - i]?.weights];
        expect(sameBits(a as Float32Array, b as Float32Array), `variable ${i}`).toBe(true);
      }
    });

    it('at every instruction set this machine has', () => {
      const folder = mkdtempSync(join(tmpdir(), 'tfjs-ftp-simd-'));
      try {
        const model = new KernelModel(options, specs(), 0, false, format);
        const file = join(folder, 'steps.bin');
        const steps = gradients.map((given) => {
          const { plan, gradients } = model.arguments({ learningRate: 1e-2, threads: 2 }, given);
          for (const variable of model.variables) variable.fromWeights = false;
          return { plan, gradients };
        });
        const { variables } = model;
        const states = variables.map(({ state }) => state);
        writeFileSync(file, serialize({ states, weights: variables.map(({ weights }) => weights), steps }));
        const child = fileURLToPath(new URL('./simd_child.cjs', import.meta.url));
        const results = ['', ...LEVELS].map((level) => {
          const env = { ...process.env, ...(level ? { TFJS_FTP_SIMD: level } : {}) };
          if (!level) delete env.TFJS_FTP_SIMD;
          const output = execFileSync(process.execPath, [child, file], { env, encoding: 'utf8' });
          return { level, ...(JSON.parse(output) as { simd: string; hash: string }) };
        });
        const [best, ...lower] = results as [(typeof results)[number], ...typeof results];
        if (process.arch === 'x64') {
          const reach = LEVELS.indexOf(best.simd as (typeof LEVELS)[number]);
          expect(reach, `known level, got ${best.simd}`).toBeGreaterThanOrEqual(0);
          // asked for more than the machine has: the best there is
          expect(lower.map(({ simd }) => simd)).toEqual(LEVELS.map((_, i) => LEVELS[Math.min(i, reach)]));
        }
        expect(new Set(results.map(({ hash }) => hash)).size, JSON.stringify(results)).toBe(1);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });

  it('says what it runs with', () => {
    const { simd, threads } = addonOrThrow().buildInfo();
    expect(['avx512', 'avx2', 'sse2', 'neon', 'scalar']).toContain(simd);
    expect(threads).toBeGreaterThanOrEqual(1);
  });
});
