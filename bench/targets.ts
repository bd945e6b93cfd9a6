/** The project's targets, each held against the run that it speaks of. */

import type { BenchReport, StepRun, Summary, Target, Timed } from './schema.js';

/** Of the kernels' threads; the targets are for two cores. */
const TARGET_THREADS = 2;

type Runs = Pick<BenchReport, 'step' | 'kernels' | 'train'>;

function ratio(contenders: readonly Timed[] | undefined, name: string, baseline: string): Summary | null {
  return contenders?.find((contender) => contender.name === name)?.ratios[baseline] ?? null;
}

function stepRun(runs: Runs, backend: string, list: string): StepRun | undefined {
  return runs.step.find((run) => run.backend === backend && run.list.name === list);
}

/**
 * @param judge false: the numbers are shown, but not judged (a quick run)
 */
export function judgeTargets(runs: Runs, judge: boolean): Target[] {
  const targets: Target[] = [];
  const add = (what: string, limit: number, measured: Summary | null, atLeast = false) => {
    const within = measured !== null && (atLeast ? measured.median >= limit : measured.median <= limit);
    targets.push({ what, limit, atLeast, measured, met: judge && measured !== null ? within : null });
  };

  for (const [list, label, limit] of [
    ['vit', 'ViT-B/16', 0.15],
    ['tiny', '120 tiny variables', 0.1],
  ] as const) {
    const run = stepRun(runs, 'tensorflow', list);
    add(
      `tfjs-node, ${label}: FTP-AdamW over tf.train.adam`,
      limit,
      ratio(run?.contenders, 'ftp-adamw', 'tf-adam'),
    );
  }

  const kernels = runs.kernels.find(({ list, threads }) => list.name === 'vit' && threads === TARGET_THREADS);
  for (const layout of ['rows', 'columns']) {
    const name = `ftp-adamw-${layout}`;
    const contender = kernels?.contenders.find((candidate) => candidate.name === name);
    const where = `kernel, ViT-B/16, ${TARGET_THREADS} threads, ${layout}`;
    add(`${where}: share of memcpy's bandwidth at 40 bytes`, 0.75, contender?.shareOfCopy ?? null, true);
    add(`${where}: FTP-AdamW over plain fused AdamW`, 1.45, ratio(kernels?.contenders, name, 'adamw'));
  }
  add(
    `kernel, ViT-B/16, ${TARGET_THREADS} threads: columns-strided over rows-contiguous`,
    1.15,
    ratio(kernels?.contenders, 'ftp-adamw-columns', 'ftp-adamw-rows'),
  );

  for (const backend of ['wasm', 'cpu']) {
    const measured = runs.step.filter((run) => run.backend === backend);
    if (measured.length === 0) add(`${backend}: FTP-AdamW over its own tf.train.adam`, 0.2, null);
    for (const { list, contenders } of measured) {
      const what = `${backend}, ${list.label}: FTP-AdamW over its own tf.train.adam`;
      add(what, 0.2, ratio(contenders, 'ftp-adamw', 'tf-adam'));
    }
  }
  add(
    "whole training step of the demo's model: FTP-AdamW over tf.train.adam",
    1,
    ratio(runs.train[0]?.contenders, 'ftp-adamw', 'tf-adam'),
  );
  return targets;
}
