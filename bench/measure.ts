/** Times contenders in turns, so that noise of a shared machine hits all of them alike; from samples to what the report holds. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Timed } from './schema.js';
import { ratioByRound, summarize } from './statistics.js';

/** Something that can be timed again and again. */
export interface Runnable {
  name: string;
  /** One step. */
  run(): void | Promise<void>;
  /** Waits for what steps may have left running; timed, once a sample. */
  finish?(): void;
}

export interface InterleaveOptions {
  rounds: number;
  /** Samples shorter than this take several steps. */
  minSampleSeconds: number;
  /** Each contender runs untimed for at least so many steps, and at least so long: pages, caches, compilers. */
  warmUpSteps: number;
  warmUpSeconds: number;
}

export interface Samples {
  /** Steps a sample. */
  repeats: number;
  /** Of one step, by round. */
  seconds: number[];
}

/** Frees what earlier contenders left behind before the next one is timed; needs node --expose-gc. */
export function collectGarbage(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('the benchmark must run under node --expose-gc');
  gc();
}

async function time(contender: Runnable, repeats: number): Promise<number> {
  collectGarbage();
  const start = performance.now();
  for (let i = 0; i < repeats; ++i) {
    const pending = contender.run();
    if (pending !== undefined) await pending;
  }
  contender.finish?.();
  return (performance.now() - start) / 1000 / repeats;
}

/**
 * Every contender once per round, in an order that is rotated and reversed each round.
 *
 * @returns samples by contender, in the order of `contenders`
 */
export async function interleave(
  contenders: readonly Runnable[],
  { rounds, minSampleSeconds, warmUpSteps, warmUpSeconds }: InterleaveOptions,
): Promise<Samples[]> {
  const results: Samples[] = [];
  for (const contender of contenders) {
    const start = performance.now();
    let once = await time(contender, warmUpSteps);
    while (performance.now() - start < 1000 * warmUpSeconds) {
      once = await time(contender, Math.max(1, Math.ceil(minSampleSeconds / once)));
    }
    results.push({ repeats: Math.max(1, Math.ceil(minSampleSeconds / once)), seconds: [] });
  }
  const count = contenders.length;
  for (let round = 0; round < rounds; ++round) {
    for (let k = 0; k < count; ++k) {
      const turned = round % 2 === 0 ? k : count - 1 - k;
      const i = (turned + Math.floor(round / 2)) % count;
      const { repeats, seconds } = results[i] as Samples;
      seconds.push(await time(contenders[i] as Runnable, repeats));
    }
    await nextTurn(); // lets finalizers of collected tensors run between rounds
  }
  return results;
}

interface TimedContender extends Samples {
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
