/** How many threads a step makes: none for a small one, whose work is over before another thread is awake. */
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { randomArray } from '../optimizers/scenario.js';
import { ORACLE_DEFAULTS } from '../reference/ftp_float64.js';
import { KernelModel } from './kernel_model.js';

const notLinux = process.platform === 'linux' ? null : 'threads are counted in /proc';

/** Threads of this process. The pool keeps those that it has made. */
function threads(): number {
  return readdirSync('/proc/self/task').length;
}

/** A step on two threads over `count` variables of 400 weights. */
function step(count: number): void {
  const specs = Array.from({ length: count }, (_, i) => ({
    layout: { outer: 20, rows: 20, inner: 1 },
    weights: randomArray(400, 0.5, i),
    excluded: false,
  }));
  const gradients = specs.map((_, i) => randomArray(400, 1, 1000 + i));
  const model = new KernelModel({ ...ORACLE_DEFAULTS, base: 'adamw' }, specs);
  model.step({ learningRate: 1e-2, threads: 2 }, gradients);
}

describeOrSkip('threads', whyNoAddon() ?? notLinux, () => {
  it('are made by a step of 400 thousand elements, not by one of 48 thousand', () => {
    step(1); // what the addon itself may start
    const before = threads();
    step(120);
    expect(threads()).toBe(before);
    step(1000);
    expect(threads()).toBe(before + 1);
  });
});
