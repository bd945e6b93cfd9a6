/** Who frees device memory that nobody frees: the garbage collector, the end of a worker, the end of the process. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { runNode } from '../package/support.js';
import { describeOnDevice } from './device.js';

interface Bytes {
  before: number;
  during: number;
  after: number;
  /** Exit code of the worker. */
  code?: number;
}

const MB = 2 ** 20;

async function run(mode: string): Promise<Bytes> {
  const child = path.join(import.meta.dirname, 'lifetime_child.mjs');
  const { code, signal, stdout, stderr } = await runNode(['--expose-gc', child, mode]);
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null });
  const line = stdout.split('\n').find((text) => text.startsWith('results '));
  return JSON.parse(line?.slice('results '.length) ?? '{}') as Bytes;
}

describeOnDevice('device memory that nobody frees', () => {
  it('of buffers goes with the garbage collector', async () => {
    const { before, during, after } = await run('buffers');
    expect(before - during).toBeGreaterThanOrEqual(64 * MB);
    expect(before - after).toBeLessThanOrEqual(8 * MB);
  });

  it('of a step goes with the garbage collector, when the step has run', async () => {
    const { before, during, after } = await run('step');
    expect(before - during).toBeGreaterThanOrEqual(24 * MB);
    expect(before - after).toBeLessThanOrEqual(3 * MB);
  });

  it('makes the garbage collector run', async () => {
    const { before, during } = await run('pressure');
    expect(before - during).toBeGreaterThanOrEqual(4 * MB);
    expect(before - during).toBeLessThan(800 * MB); // of 1600
  });

  it.each([
    ['worker', 'ends', 0],
    ['terminate', 'is terminated', 1],
  ])('goes with a worker (%s) that %s', async (mode, _how, exitCode) => {
    const { before, during, after, code } = await run(mode);
    expect(code).toBe(exitCode);
    expect(before - during).toBeGreaterThanOrEqual(48 * MB);
    expect(before - after).toBeLessThanOrEqual(2 * MB);
  });

  it('lets the process end while a step is in flight', async () => {
    expect(await run('exit')).toEqual({ before: 0, during: 0, after: 0 });
  });
});
