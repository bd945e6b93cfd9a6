/** The authors' trajectories on every implementation, in their layout and in the Keras layout. */
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GoldenCase } from '../reference/golden.js';
import { MEASURES, type Measures } from '../reference/measures.js';
import { cases, checkGolden, layouts, reportWorst } from './golden_check.js';
import { describeImplementations, useBackend } from './implementations.js';
import { describeSubjects } from './subjects.js';
import { startWrapReplay } from './tfjs_replay.js';

describeSubjects('golden trajectories', (subject) => {
  beforeAll(() => subject.prepare());

  it.each(cases.flatMap((golden) => layouts.map((layout) => [golden.name, layout, golden] as const)))(
    '%s, %s layout',
    async (_name, layout, golden) => {
      const before = tf.memory().numTensors;
      await checkGolden(subject.label, golden, layout, subject.start);
      if (subject.tfjs) expect(tf.memory().numTensors, 'tensors left over').toBe(before);
    },
  );
});

/**
 * What tfjs's own optimizers can do: no decay, no dampening, no AMSGrad, and no Adam with missing gradients (tf.train.adam
 * corrects its bias with one count for the whole model).
 */
function canBeWrapped({ name, options, groups }: GoldenCase): boolean {
  const { weight_decay, dampening = 0, amsgrad = false } = options;
  return (
    groups.length === 1 && weight_decay === 0 && dampening === 0 && !amsgrad && name !== 'adamp_missing_tail'
  );
}

const wrapped = cases.filter(canBeWrapped);

it('22 cases can be run by the optimizers of tfjs', () => {
  expect(wrapped.map(({ name }) => name)).toHaveLength(22);
});

describeImplementations('golden trajectories around the optimizers of tfjs (ftp.wrap)', (implementation) => {
  beforeAll(() => useBackend(implementation));

  it.each(wrapped.map((golden) => [golden.name, golden] as const))('%s', async (_name, golden) => {
    const baseLeak = leakOfMomentum();
    const before = tf.memory().numTensors;
    const tolerance = golden.optimizer === 'adamp' ? scaled(golden.tolerance, ADAM_SLACK) : golden.tolerance;
    const label = `wrap, ${implementation.label}`;
    await checkGolden(label, { ...golden, tolerance }, 'keras', startWrapReplay(implementation), [
      'deviation',
    ]);
    const leak = golden.optimizer === 'sgdp' && golden.options.momentum ? baseLeak : 0;
    expect(tf.memory().numTensors, 'tensors left over').toBe(before + leak);
  });
});

/**
 * tf.train.adam corrects its bias in float32: 1 - 0.999 is off by up to 3e-5 there, so its updates are off by as much at
 * the start, where an update that is rounded well has 1e-7.
 */
const ADAM_SLACK = 16;

function scaled(limits: Measures, factor: number): Measures {
  return Object.fromEntries(MEASURES.map((measure) => [measure, factor * limits[measure]])) as Measures;
}

/** tf.train.momentum (4.22) does not dispose its learning rate. */
function leakOfMomentum(): number {
  const before = tf.memory().numTensors;
  tf.train.momentum(1, 0.9).dispose();
  return tf.memory().numTensors - before;
}

afterAll(reportWorst);
