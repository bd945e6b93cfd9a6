/** Trajectories of the authors' and of others' code, on the oracle and on every implementation, in both layouts. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FtpOptimizer } from '../../src/index.js';
import type { LayoutName } from '../backends/golden_replay.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { readWeights } from '../backends/tfjs_replay.js';
import { fromKeras, kerasShape, outputAxisOf, toKeras } from '../reference/golden.js';
import { distance2, norm2 } from '../reference/measures.js';
import { RuleOracle } from '../reference/rules_float64.js';
import { type Peer, type PeerParam, peerNames, readPeer } from './peers.js';

const peers = peerNames.map(readPeer);

/** What a run shows of a parameter after a step, in the authors' layout. */
interface Shown {
  weights: ArrayLike<number>;
  norms?: ArrayLike<number>;
  constraint?: ArrayLike<number>;
}

/** Holds a run against the file; quantities relative to their largest value over the run, as the file's README says. */
class Comparison {
  private readonly differences = new Map<string, { difference: number; largest: number; count: number }>();
  params = 0;
  deviation = 0;
  steps = 0;

  constructor(private readonly peer: Peer) {}

  step(step: number, show: (param: PeerParam) => Shown): void {
    const expected = this.peer.expected.find((entry) => entry.step === step);
    if (expected === undefined) return;
    this.steps++;
    for (const param of this.peer.params) {
      const shown = show(param);
      const weights = expected.params.get(param.name);
      if (weights !== undefined) {
        const difference = distance2(shown.weights, weights);
        const moved = distance2(weights, param.anchor);
        const size = norm2(weights);
        this.params = Math.max(this.params, difference === 0 ? 0 : difference / size);
        if (moved > 1e-3 * size) this.deviation = Math.max(this.deviation, difference / moved);
      }
      for (const { key, slot, index } of this.peer.quantities) {
        const value = (expected.quantities[key] as { [name: string]: number | number[] | null })[param.name];
        if (value === null || value === undefined) continue;
        const list = Array.isArray(value) ? value : [value];
        const own = index === null ? Array.from(shown[slot] ?? []) : [shown[slot]?.[index] as number];
        const name = `${key} ${param.name}`;
        const entry = this.differences.get(name) ?? { difference: 0, largest: 0, count: 0 };
        entry.difference = Math.max(
          entry.difference,
          ...list.map((x, i) => Math.abs(x - (own[i] as number))),
        );
        entry.largest = Math.max(entry.largest, ...list.map(Math.abs));
        entry.count++;
        this.differences.set(name, entry);
      }
    }
  }

  check(): void {
    const { peer } = this;
    expect(this.steps).toBe(peer.expected.length);
    expect(this.params).toBeLessThanOrEqual(peer.tolerance.params_rel as number);
    expect(this.deviation).toBeLessThanOrEqual(peer.tolerance.deviation_rel as number);
    for (const { key } of peer.quantities) {
      const entries = [...this.differences].filter(([name]) => name.startsWith(`${key} `));
      expect(entries.length, key).toBeGreaterThan(0);
      for (const [name, { difference, largest }] of entries) {
        // The first set of files has no limit for sum g D; where the ratio is below 1e-4 it gives 1e-6.
        const limit = (peer.tolerance[`${key}_rel`] ?? 2e-5) * largest + (key === 'spd_ratio' ? 1e-6 : 0);
        expect(difference, name).toBeLessThanOrEqual(limit);
      }
    }
  }
}

describe.each(peers.map((peer) => [peer.name, peer] as const))('the float64 oracle on %s', (_name, peer) => {
  it('gives the float64 run to rounding, and is within tolerance of the float32 run', () => {
    const comparison = new Comparison(peer);
    const oracles = new Map(
      peer.params.map(({ name, shape, kind, init, anchor }) => {
        const { base, rule } = peer.specOf(
          name,
          peer.groups.findIndex((group) => group.includes(name)),
        );
        const rows = kind === 'bias' || kind === 'scalar' ? 1 : (shape[0] as number);
        const rowOf = Array.from(init, (_, i) => Math.floor(i / (init.length / rows)));
        return [name, new RuleOracle(base, rule, init, anchor, rowOf, rows)];
      }),
    );
    for (const { step, lr, grads } of peer.steps) {
      for (const [group, names] of peer.groups.entries()) {
        for (const name of names) oracles.get(name)?.step(lr[group] as number, grads.get(name) ?? null);
      }
      comparison.step(step, ({ name }) => {
        const { weights, shown } = oracles.get(name) as RuleOracle;
        return { weights, ...shown };
      });
    }
    comparison.check();
    for (const [name, expected] of peer.expectedF64) {
      const { weights } = oracles.get(name) as RuleOracle;
      expect(distance2(weights, expected) / norm2(expected), name).toBeLessThan(1e-12);
    }
  });
});

describeImplementations('trajectories of other methods', (implementation) => {
  beforeAll(() => useBackend(implementation));

  it.each(
    peers.flatMap((peer) =>
      (['torch', 'keras'] as const).map((layout) => [peer.name, layout, peer] as const),
    ),
  )('%s, %s layout', async (_name, layout, peer) => {
    const tensors = tf.memory().numTensors;
    await replay(peer, layout, implementation.implementation, implementation.runs);
    expect(tf.memory().numTensors, 'tensors left over').toBe(tensors);
  });
});

async function replay(peer: Peer, layout: LayoutName, implementation: 'native' | 'reference', runs: string) {
  const keras = layout === 'keras';
  const forth = ({ shape, kind }: PeerParam, data: Float32Array) =>
    tf.tensor(keras ? toKeras(data, shape, kind) : data.slice(), keras ? kerasShape(shape, kind) : shape);
  const paramOf = new Map(peer.params.map((param) => [param.name, param]));
  const variables = new Map(
    peer.params.map((param) => {
      const initial = forth(param, param.init);
      const variable = tf.variable(initial, true, param.name);
      initial.dispose();
      return [param.name, variable];
    }),
  );
  const anchored = peer.quantities.length > 0 || /l2sp/.test(peer.name);
  const anchors = Object.fromEntries(
    peer.params
      .filter(({ init, anchor }) => anchor.some((a, i) => a !== init[i]))
      .map((param) => [param.name, forth(param, param.anchor)]),
  );
  const optimizers = peer.groups.map((_, group) =>
    peer.make(group, {
      implementation,
      ...(anchored
        ? {
            anchors,
            outputAxis: (name, { length }) => outputAxisOf(paramOf.get(name)?.kind ?? 'bias', length, layout),
          }
        : {}),
    }),
  );
  const comparison = new Comparison(peer);
  for (const { step, lr, grads } of peer.steps) {
    for (const [group, names] of peer.groups.entries()) {
      const optimizer = optimizers[group] as FtpOptimizer;
      optimizer.learningRate = lr[group] as number;
      const given = Object.fromEntries(
        names.flatMap((name) => {
          const gradient = grads.get(name);
          return gradient ? [[name, forth(paramOf.get(name) as PeerParam, gradient)]] : [];
        }),
      );
      optimizer.applyGradients(given);
      tf.dispose(given);
      expect(optimizer.implementation).toBe(runs);
    }
    const states = await Promise.all(optimizers.map(readWeights));
    comparison.step(step, (param) => {
      const { name, shape, kind } = param;
      const data = (variables.get(name) as tf.Variable).dataSync() as Float32Array;
      const state = states[peer.groups.findIndex((group) => group.includes(name))];
      return {
        weights: keras ? fromKeras(data, shape, kind) : data,
        norms: state?.get(`${name}/norms`),
        constraint: state?.get(`${name}/constraint`),
      };
    });
  }
  comparison.check();
  for (const optimizer of optimizers) optimizer.dispose();
  for (const variable of variables.values()) variable.dispose();
  tf.dispose(anchors);
}
