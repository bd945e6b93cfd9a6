/** From samples of an interleaved run to what the report holds. */

import type { Samples } from './measure.js';
import type { Timed } from './schema.js';
import { ratioByRound, summarize } from './statistics.js';

export interface TimedContender extends Samples {
  name: string;
  label: string;
  implementation: string | null;
  bytesPerParameter: number | null;
}

/**
 * @param parameters that bytes are counted for
 * @param baselines names of contenders; those that did not run are left out
 */
export function summarizeRun(
  contenders: readonly TimedContender[],
  parameters: number,
  baselines: readonly string[],
): Timed[] {
  return contenders.map(({ seconds, bytesPerParameter: bytes, ...contender }) => {
    const secondsPerStep = summarize(seconds);
    const ratios = contenders
      .filter(({ name }) => baselines.includes(name) && name !== contender.name)
      .map((baseline) => [baseline.name, ratioByRound(seconds, baseline.seconds)] as const);
    return {
      ...contender,
      secondsPerStep,
      samples: seconds,
      bytesPerParameter: bytes,
      gigabytesPerSecond: bytes === null ? null : (bytes * parameters) / secondsPerStep.median / 1e9,
      ratios: Object.fromEntries(ratios),
    };
  });
}
