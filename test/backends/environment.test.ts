/** Environment variables that the addon reads: accepted, or refused with what is accepted. */
import { describe, expect, it } from 'vitest';
import { environmentProblem } from '../../src/environment.js';
import { MAX_THREADS } from '../../src/validate.js';
import { addonOrThrow } from '../kernels/kernel_model.js';
import { runNode } from '../package/support.js';
import { describeOrSkip, whyNoAddon } from './skip.js';

const LEVELS = ['avx2', 'sse2'];
const problem = (environment: Record<string, string | undefined>) =>
  environmentProblem(environment, () => LEVELS);

describe('environment variables', () => {
  it.each([
    {},
    { TFJS_FTP_THREADS: '', TFJS_FTP_SIMD: '', TFJS_FTP_GPU: '' },
    { TFJS_FTP_THREADS: '1', TFJS_FTP_SIMD: 'avx2', TFJS_FTP_GPU: '0' },
    { TFJS_FTP_THREADS: '256', TFJS_FTP_SIMD: 'sse2', TFJS_FTP_GPU: '1' },
  ])('accepted: %j', (environment) => expect(problem(environment)).toBeNull());

  it.each(['abc', '0', '-1', '1.5', '257', '1e2', ' 4', '0x10', '99999999999999999999'])(
    'TFJS_FTP_THREADS=%s is refused',
    (value) => {
      expect(problem({ TFJS_FTP_THREADS: value })).toBe(
        `TFJS_FTP_THREADS must be a whole number from 1 to 256, got '${value}'`,
      );
    },
  );

  it.each(['foo', 'neon', 'avx512', 'AVX2'])('TFJS_FTP_SIMD=%s is refused where it cannot run', (value) => {
    expect(problem({ TFJS_FTP_SIMD: value })).toBe(
      `TFJS_FTP_SIMD must be one of 'avx2', 'sse2', which this build has and this processor runs, got '${value}'`,
    );
  });

  it.each(['yes', '2', 'true'])('TFJS_FTP_GPU=%s is refused', (value) => {
    expect(problem({ TFJS_FTP_GPU: value })).toBe(`TFJS_FTP_GPU must be '0' or '1', got '${value}'`);
  });
});

/** What each way to the addon says in a process with this environment. */
async function ask(env: Record<string, string>) {
  const script = `
    const tf = require('@tensorflow/tfjs-core');
    require('@tensorflow/tfjs-backend-cpu');
    const { ftp } = require('./cjs/index.js');
    const native = require('./cjs/native/index.js');
    const w = tf.variable(tf.tensor1d([1, 2]), true, 'w');
    const g = tf.tensor1d([1, 1]);
    const attempt = (action) => {
      try {
        return String(action());
      } catch ({ name, message }) {
        return name + ': ' + message;
      }
    };
    const step = (implementation) => attempt(() => ftp.sgd(0.1, { implementation }).applyGradients({ w: g }));
    console.log(JSON.stringify({
      auto: step('auto'),
      native: step('native'),
      reference: step('reference'),
      fused: attempt(() => native.createFusedStep({ base: 'sgd', learningRate: 1, variables: [] }).iterations),
      available: native.isNativeAvailable(),
      problem: native.nativeInfo().problem,
      build: native.nativeInfo().build,
    }));`;
  const { code, stdout, stderr } = await runNode(['-e', script], { env });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout.split('\n').at(-2) ?? '') as Record<string, unknown> & {
    build: { threads: number; simd: string };
  };
}

describeOrSkip('the addon and its environment', whyNoAddon(), () => {
  it('has the bounds that TypeScript checks, and names what it can run', () => {
    const { maxThreads, threads, simd, simdLevels } = addonOrThrow().buildInfo();
    expect(maxThreads).toBe(MAX_THREADS);
    expect(threads).toBeLessThanOrEqual(MAX_THREADS);
    expect(simdLevels).toContain(simd);
    const all = { x64: ['avx512', 'avx2', 'sse2'], arm64: ['neon'] }[process.arch as string] ?? ['scalar'];
    expect(all.slice(-simdLevels.length)).toEqual(simdLevels);
  });

  it('every way to a native step refuses a wrong variable; the reference does not ask', async () => {
    const problem = "TFJS_FTP_THREADS must be a whole number from 1 to 256, got 'abc'";
    const refused = `RangeError: ${problem}`;
    const found = await ask({ TFJS_FTP_THREADS: 'abc' });
    expect(found).toMatchObject({ auto: refused, native: refused, reference: 'undefined', fused: refused });
    expect(found).toMatchObject({ available: true, problem });
  });

  it('takes what is right', async () => {
    const simd = addonOrThrow().buildInfo().simdLevels.at(-1) as string;
    const found = await ask({ TFJS_FTP_THREADS: '3', TFJS_FTP_SIMD: simd });
    expect(found).toMatchObject({ auto: 'undefined', native: 'undefined', fused: '0', problem: null });
    expect(found.build).toMatchObject({ threads: 3, simd });
  });

  it('names what can run where another instruction set is asked for', async () => {
    const { problem } = await ask({ TFJS_FTP_SIMD: 'sse4' });
    const levels = addonOrThrow().buildInfo().simdLevels;
    expect(problem).toContain(`must be one of ${levels.map((level) => `'${level}'`).join(', ')}, which`);
  });
});
