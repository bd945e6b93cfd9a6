/**
 * Finished runs, one JSON file each, named by a hash of all that decides on the result: what was run once is not run again, and
 * a series that was stopped goes on where it was.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Settings } from './methods.js';
import type { Protocol } from './task.js';
import { writeWhole } from './whole_file.js';

/** What decides on the result of a run. */
export interface RunKey {
  task: string;
  version: number;
  method: string;
  settings: Settings;
  seed: number;
  protocol: Protocol;
}

const Numbers = z.array(z.number());
/** What a model makes of a set of examples. */
const SetResult = z.object({
  /** Mean of the metric. */
  mean: z.number(),
  /** The metric of each example; as a text where each is 0 or 1. */
  scores: z.union([z.string().regex(/^[01]*$/), Numbers]),
  /** The units of the examples, in the order of `scores`: which of the run's `unitLists`. */
  list: z.number(),
  predictions: Numbers.optional(),
});
export type SetResult = z.infer<typeof SetResult>;

/** As they are written into a file. */
export function packScores(scores: readonly number[]): SetResult['scores'] {
  return scores.every((score) => score === 0 || score === 1) ? scores.join('') : [...scores];
}

/** The metric of each example. */
export function scoresOf({ scores }: SetResult): number[] {
  return typeof scores === 'string' ? Array.from(scores, Number) : scores;
}

const Run = z.object({
  key: z.looseObject({ task: z.string(), method: z.string(), seed: z.number() }),
  /** Names of the units, and the lists of them that sets have, by index. */
  units: z.array(z.string()),
  unitLists: z.array(Numbers),
  validation: z.object({ mean: z.number(), loss: z.number().nullable() }),
  inDistribution: SetResult,
  domains: z.array(z.object({ name: z.string(), kind: z.enum(['shift', 'corruption']), result: SetResult })),
  /** How far each layer's kernel went: |W - A| / |A|. */
  moved: z.record(z.string(), z.number().nullable()),
  /** Of the last steps. */
  trainingLoss: z.number().nullable(),
  /** The step whose gradient was not finite: training ended there. */
  divergedAt: z.number().optional(),
  secondsPerStep: z.number(),
  /** Chosen on validation, with methods that mix weights. */
  alpha: z.number().optional(),
  leftOut: z.array(z.object({ name: z.string(), reason: z.string() })),
  environment: z.object({ node: z.string(), implementation: z.string(), date: z.string() }),
});

/** A finished run. */
export type Run = Omit<z.infer<typeof Run>, 'key'> & { key: RunKey };

/** The same text for the same value, in whatever order its keys were written. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** 16 hexadecimal digits for the settings of a run. */
export function hashOf(key: RunKey): string {
  return createHash('sha256').update(canonical(key)).digest('hex').slice(0, 16);
}

/** The runs in a folder. */
export class RunStore {
  constructor(private readonly folder: string) {}

  private file(key: RunKey): string {
    return join(this.folder, key.task, `${key.method}-${hashOf(key)}.json`);
  }

  /** @returns undefined if there is no such run. @throws Error naming the file for one that is not a run. */
  async find(key: RunKey): Promise<Run | undefined> {
    const file = this.file(key);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    return text === undefined ? undefined : parse(file, text);
  }

  /** A run that is there is whole. */
  async save(run: Run): Promise<void> {
    await writeWhole(this.file(run.key), `${JSON.stringify(run)}\n`);
  }

  /** All runs of a task, ordered by file name. */
  async all(task: string): Promise<Run[]> {
    const folder = join(this.folder, task);
    const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.json')).sort();
    return Promise.all(
      files.map(async (file) => parse(join(folder, file), await readFile(join(folder, file), 'utf8'))),
    );
  }
}

function parse(file: string, text: string): Run {
  try {
    return Run.parse(JSON.parse(text)) as unknown as Run;
  } catch (error) {
    throw new Error(`${file} is no run: ${(error as Error).message}`, { cause: error });
  }
}
