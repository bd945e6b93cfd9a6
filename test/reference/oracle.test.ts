/** The oracle against the authors' code: its float64 results to rounding, its float32 trajectories within tolerance. */
import { describe, expect, it } from 'vitest';
import { replayGolden } from '../backends/golden_replay.js';
import type { OracleVariable } from './ftp_float64.js';
import { fromKeras, goldenNames, kerasShape, parseGolden, readGolden, toKeras } from './golden.js';
import { distance2, exceeded, norm2 } from './measures.js';
import { OracleReplay } from './oracle_replay.js';

const names = goldenNames();

describe('golden files', () => {
  it('are all there', () => {
    expect(names.filter((name) => name.startsWith('sgdp_'))).toHaveLength(12);
    expect(names.filter((name) => name.startsWith('adamp_'))).toHaveLength(19);
  });

  it('convert to the Keras layout and back', () => {
    // [out, in, kh, kw] = [2, 3, 1, 2]: value = 100 out + 10 in + kw
    const torch = Float32Array.from([0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121]);
    const keras = toKeras(torch, [2, 3, 1, 2], 'conv2d');
    expect(kerasShape([2, 3, 1, 2], 'conv2d')).toEqual([1, 2, 3, 2]);
    expect([...keras]).toEqual([0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]);
    expect([...fromKeras(keras, [2, 3, 1, 2], 'conv2d')]).toEqual([...torch]);
    expect([...toKeras(Float32Array.from([1, 2, 3, 4, 5, 6]), [2, 3], 'linear')]).toEqual([1, 4, 2, 5, 3, 6]);
    expect([...toKeras(Float32Array.from([1, 2, 3, 4, 5, 6]), [2, 3], 'embedding')]).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
  });

  it('resolve base64 values, references to earlier gradients and missing gradients', () => {
    const base64 = Buffer.from(Float32Array.of(1.5, -2).buffer).toString('base64');
    const golden = parseGolden({
      name: 'made_up',
      optimizer: 'sgdp',
      options: { lr: 1, weight_decay: 0, k: 1, exclude_set: [] },
      groups: [{ params: ['w'], options: { weight_decay: 0.5 } }],
      params: [{ name: 'w', shape: [2], kind: 'bias', init_b64: base64, anchor: [0.1, 2] }],
      steps: [
        { step: 1, lr: [1], grads: { w_b64: base64 } },
        { step: 2, lr: [1], grads: { w: { ref_step: 1, mult: 0.1 } } },
        { step: 3, lr: [1], grads: { w: null } },
      ],
      expected: [],
      final_state: null,
      expected_f64: {},
      tolerance: {},
    });
    expect([...(golden.params[0]?.init ?? [])]).toEqual([1.5, -2]);
    expect([...(golden.params[0]?.anchor ?? [])]).toEqual([Math.fround(0.1), 2]);
    expect(golden.groups[0]?.options.weight_decay).toBe(0.5);
    const gradients = golden.steps.map((step) => step.grads.get('w'));
    expect([...(gradients[0] ?? [])]).toEqual([1.5, -2]);
    expect([...(gradients[1] ?? [])]).toEqual([
      Math.fround(1.5 * Math.fround(0.1)),
      Math.fround(-2 * Math.fround(0.1)),
    ]);
    expect(gradients[2]).toBeNull();
  });
});

describe.each(names)('oracle on %s', (name) => {
  const golden = readGolden(name);

  it('float64 gives the float64 run of the authors to rounding', async () => {
    let variables = new Map<string, OracleVariable>();
    await replayGolden(golden, 'torch', (groups) => {
      const oracle = new OracleReplay(groups, 'float64');
      variables = oracle.variables;
      return oracle;
    });
    const errors: Record<string, number> = {};
    for (const [param, expected] of golden.expectedF64) {
      const weights = variables.get(param)?.weights as Float64Array;
      errors[param] = distance2(weights, expected) / norm2(expected);
    }
    expect(Object.keys(errors).sort()).toEqual(golden.params.map((param) => param.name).sort());
    expect(Math.max(...Object.values(errors)), JSON.stringify(errors)).toBeLessThan(1e-14);
  });

  it.each(['torch', 'keras'] as const)(
    'float64 is within tolerance of the float32 trajectory, %s',
    async (layout) => {
      const result = await replayGolden(golden, layout, (groups) => new OracleReplay(groups, 'float64'));
      expect(result.stepsCompared).toBe(golden.steps.length);
      expect(exceeded(result.measures, golden.tolerance)).toEqual([]);
      expect(result.finalSlots).toBeLessThanOrEqual(1);
      expect(result.slotsCompared.size).toBeGreaterThan(0);
      expect(result.moved).toEqual([]);
      expect(result.miscounted).toEqual([]);
    },
  );

  it('float32 in the order of the kernels is within tolerance', async () => {
    const result = await replayGolden(golden, 'torch', (groups) => new OracleReplay(groups, 'float32'));
    expect(exceeded(result.measures, golden.tolerance)).toEqual([]);
    expect(result.finalSlots).toBeLessThanOrEqual(1);
  });
});
