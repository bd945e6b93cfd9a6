/** Fine-tunes with each method and tests the result on every image set. */
import { CORRUPTIONS, type Corruption, corruptedSets } from './corruptions.js';
import { type EvaluationSet, evaluate } from './evaluation.js';
import { fineTune } from './fine_tune.js';
import { type ImplementationOption, METHODS, type MethodName, type MethodSettings } from './methods.js';
import { progressBar } from './progress.js';
import type { Task } from './task.js';

export interface ComparisonOptions {
  steps: number;
  seed: number;
  implementation: ImplementationOption;
}

/** A row of the table. Accuracies are shares from 0 to 1. */
export interface Row {
  method: MethodName;
  label: string;
  learningRate: number;
  strength: number | null;
  implementation: string;
  /** Accuracy in the distribution that was trained on. */
  id: number;
  /** Accuracy by shifted set, `corrupted` among them. */
  ood: Record<string, number>;
  /** Mean of `ood`. */
  meanOod: number;
  /** Accuracy by corruption and severity; their mean is `ood.corrupted`. */
  corruptions: Record<Corruption, number[]>;
  secondsPerStep: number;
  loss: number;
  constraints: { name: string; gamma: number | null; meanRatio: number | null }[];
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The names of the accuracy columns after ID. */
export function shiftedColumns(task: Task): string[] {
  return [...task.shifted.map((set) => set.name), 'corrupted'];
}

/**
 * Fine-tunes with one method and tests it. Shows a progress bar on a terminal.
 *
 * @param place of this run among all, such as `method 2 of 5`
 */
export async function runMethod(
  task: Task,
  name: MethodName,
  options: ComparisonOptions,
  settings: MethodSettings,
  place: string,
): Promise<Row> {
  const method = METHODS[name];
  const corrupted = corruptedSets(task.toCorrupt, options.seed, task.range);
  const tests = 1 + task.shifted.length + corrupted.length;
  const bar = progressBar(`${place}: ${method.label} ${settings.learningRate}`, options.steps + tests);
  let done = 0;
  const trained = await fineTune(task, method, settings, {
    ...options,
    onStep: (step, loss) => {
      done = step;
      bar.update(step, `loss ${loss.toFixed(3)}`);
    },
  });
  const test = async (set: EvaluationSet) => {
    const { accuracy } = await evaluate(task.transfer.model, set);
    done += 1;
    bar.update(done, `${set.name} ${(100 * accuracy).toFixed(1)}%`);
    return accuracy;
  };
  const id = await test(task.inDistribution);
  const ood: Record<string, number> = {};
  for (const set of task.shifted) ood[set.name] = await test(set);
  const corruptions = Object.fromEntries(
    CORRUPTIONS.map((kind) => [kind, [] as number[]]),
  ) as Row['corruptions'];
  for (const { kind, set } of corrupted) corruptions[kind].push(await test(set));
  ood.corrupted = mean(Object.values(corruptions).flat());
  bar.stop();
  return {
    method: name,
    label: method.label,
    learningRate: settings.learningRate,
    strength: settings.strength ?? null,
    implementation: trained.implementation,
    id,
    ood,
    meanOod: mean(Object.values(ood)),
    corruptions,
    secondsPerStep: trained.secondsPerStep,
    loss: trained.loss,
    constraints: trained.constraints,
  };
}
