/** All runs of a task: every setting of every method with the first seed, then the chosen ones with the others. */
import { METHOD_NAMES, type MethodName, methodOf, type Settings, traceOf } from './methods.js';
import { doRun, Subject } from './run.js';
import { hashOf, type Run, type RunKey, type RunStore } from './store.js';
import type { Protocol, Task } from './task.js';

/** The seed that settings are chosen with. */
export const FIRST_SEED = 1;

export interface SeriesOptions {
  methods?: readonly MethodName[];
  /** Seeds from 1 on. */
  seeds: number;
  protocol: Protocol;
  /** Whether the runs of the picture over the learning rate are done too. */
  trace: boolean;
}

export interface SeriesEvents {
  say(text: string): void;
  /** Within a run. */
  onProgress?(title: string, done: number, all: number, note: string): void;
  onRun?(run: Run, number: number, all: number, secondsLeft: number): void;
}

/** By validation accuracy, of equals by validation loss. */
export function better(a: Run, b: Run): Run {
  if (Math.abs(a.validation.mean - b.validation.mean) > 1e-9)
    return a.validation.mean > b.validation.mean ? a : b;
  return (a.validation.loss ?? Infinity) <= (b.validation.loss ?? Infinity) ? a : b;
}

/** Makes the keys of a series. */
export class Plan {
  constructor(
    private readonly task: Task,
    private readonly protocol: Protocol,
  ) {}

  key(method: MethodName, settings: Settings, seed: number): RunKey {
    const { name, version } = this.task;
    return { task: name, version, method, settings, seed, protocol: this.protocol };
  }

  /** What is tried with the first seed, each once: the method's grid, and what is only drawn. */
  firstSeed(method: MethodName, trace: boolean): { grid: RunKey[]; extra: RunKey[] } {
    const grid = methodOf(method).grid.map((settings) => this.key(method, settings, FIRST_SEED));
    const known = new Set(grid.map(hashOf));
    const traced = trace ? traceOf(method).map((settings) => this.key(method, settings, FIRST_SEED)) : [];
    return { grid, extra: traced.filter((key) => !known.has(hashOf(key))) };
  }

  /** The best of a method's grid; undefined while a part of it is missing. */
  async chosen(method: MethodName, store: RunStore): Promise<Run | undefined> {
    const runs = await Promise.all(this.firstSeed(method, false).grid.map((key) => store.find(key)));
    const found = runs.filter((run) => run !== undefined);
    return found.length === runs.length ? found.reduce(better) : undefined;
  }
}

/**
 * Does what is missing of a series.
 *
 * @throws MissingData where the task has nothing to train on.
 */
export async function runSeries(
  task: Task,
  store: RunStore,
  options: SeriesOptions,
  events: SeriesEvents,
): Promise<void> {
  const { methods = METHOD_NAMES, seeds, protocol, trace } = options;
  const plan = new Plan(task, protocol);
  const first = methods.flatMap((method) => {
    const { grid, extra } = plan.firstSeed(method, trace);
    return [...grid, ...extra];
  });
  const all = first.length + methods.length * (seeds - 1);
  let number = 0;
  let ran = 0;
  const started = performance.now();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + seeds; ++seed) {
    const keys =
      seed === FIRST_SEED
        ? first
        : await Promise.all(
            methods.map(async (method) =>
              plan.key(method, ((await plan.chosen(method, store)) as Run).key.settings, seed),
            ),
          );
    let subject: Subject | undefined;
    try {
      for (const key of keys) {
        number += 1;
        if ((await store.find(key)) !== undefined) continue;
        // Only now: where nothing is missing, nothing is prepared.
        subject ??= new Subject(await task.open(seed, protocol, events.say));
        const method = methodOf(key.method as MethodName);
        const title = `${number} of ${all}: ${method.label}`;
        const run = await doRun(subject, key, method, (done, parts, note) =>
          events.onProgress?.(title, done, parts, note),
        );
        await store.save(run);
        ran += 1;
        const perRun = (performance.now() - started) / 1000 / ran;
        events.onRun?.(run, number, all, perRun * (all - number));
      }
    } finally {
      subject?.dispose();
      subject?.task.dispose();
    }
  }
}
