/**
 * Holds the authors' trajectories against an implementation, behind the Replay interface. The worst errors of each are
 * kept, and with TFJS_FTP_GOLDEN_REPORT=FILE written there as JSON.
 */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type GoldenCase, goldenNames, readGolden } from '../reference/golden.js';
import { distance2, exceeded, MEASURES, type Measures, norm2 } from '../reference/measures.js';
import {
  type LayoutName,
  type ReplayResult,
  replayGolden,
  type Slot,
  type StartReplay,
} from './golden_replay.js';

export const cases = goldenNames().map(readGolden);
/** Every case in the authors' layout and in the Keras layout. */
export const layouts: readonly LayoutName[] = ['torch', 'keras'];
const worst = new Map<string, Measures & { finalSlots: number; shareOfLimit: number; float64: number }>();

/** Replays a case and checks all that it says; `slots`: those that the implementation has, default all. */
export async function checkGolden(
  label: string,
  golden: GoldenCase,
  layout: LayoutName,
  start: StartReplay,
  slots?: readonly Slot[],
): Promise<ReplayResult> {
  const result = await replayGolden(golden, layout, start, slots);
  const entry = worst.get(label) ?? { ...result.measures, finalSlots: 0, shareOfLimit: 0, float64: 0 };
  for (const measure of MEASURES) {
    const value = result.measures[measure];
    entry[measure] = Math.max(entry[measure], value);
    entry.shareOfLimit = Math.max(entry.shareOfLimit, value / golden.tolerance[measure]);
  }
  entry.finalSlots = Math.max(entry.finalSlots, result.finalSlots);
  // the weights at the end against the authors' float64 run
  const float64 = Math.max(
    ...[...golden.expectedF64].map(([name, expected]) => {
      const weights = result.finalWeights.get(name) as Float32Array;
      return distance2(weights, expected) / norm2(expected);
    }),
  );
  entry.float64 = Math.max(entry.float64, float64);
  worst.set(label, entry);
  expect(golden.expectedF64.size).toBe(golden.params.length);
  expect(float64, 'error against float64').toBeLessThanOrEqual(golden.tolerance.params_rel);
  expect(result.stepsCompared).toBe(golden.steps.length);
  expect(exceeded(result.measures, golden.tolerance)).toEqual([]);
  expect(result.finalSlots, 'final moments and deviation, as a share of their limit').toBeLessThanOrEqual(1);
  expect(result.slotsCompared.has('deviation')).toBe(true);
  expect(result.miscounted, 'step counts').toEqual([]);
  expect(result.moved, 'variables without a gradient that changed').toEqual([]);
  return result;
}

/** Writes the worst errors, where asked for. */
export function reportWorst(): void {
  const file = process.env.TFJS_FTP_GOLDEN_REPORT;
  if (!file) return;
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(worst), null, 2)}\n`);
}
