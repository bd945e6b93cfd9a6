/** The project's targets, each held against the run that it speaks of. */

import { median } from 'simple-statistics';
import type { BenchReport, CudaReport, StepRun, Summary, Target, Timed } from './schema.js';
import { cudaRatio, cudaWorkloads, shareOfCopy } from './suites/cuda.js';

/** Of the kernels' threads; the targets are for two cores. */
const TARGET_THREADS = 2;

type Runs = Pick<BenchReport, 'step' | 'kernels' | 'train'> & { cuda?: CudaReport[] };

function ratio(contenders: readonly Timed[] | undefined, name: string, baseline: string): Summary | null {
  return contenders?.find((contender) => contender.name === name)?.ratios[baseline] ?? null;
}

function stepRun(runs: Runs, backend: string, list: string): StepRun | undefined {
  return runs.step.find((run) => run.backend === backend && run.list.name === list);
}

function judged(
  what: string,
  limit: number,
  measured: Summary | null,
  atLeast: boolean,
  judge: boolean,
): Target {
  const within = measured !== null && (atLeast ? measured.median >= limit : measured.median <= limit);
  return { what, limit, atLeast, measured, met: judge && measured !== null ? within : null };
}

/**
 * Targets on a GPU, of the lists that ran and of the faster of the versions (three launches, one) without the check of the gradients. Nothing of an
 * emulated GPU is judged.
 */
export function judgeCudaTargets(reports: readonly CudaReport[], judge: boolean): Target[] {
  const real = judge && reports.every(({ device }) => !device.emulated);
  const workloads = cudaWorkloads(reports);
  const targets: Target[] = [];
  for (const [list, share] of [
    ['vit', 0.85],
    ['billion', 0.9],
  ] as const) {
    const found = workloads.find(({ workload }) => workload.name === list);
    if (found === undefined) continue;
    const { entries } = found;
    const named = (name: string) => entries.find(({ contender }) => contender.name === name);
    for (const layout of ['rows', 'columns']) {
      const [fastest] = ['three', 'one']
        .flatMap((version) => named(`ftp-adamw-${layout}-${version}`) ?? [])
        .sort((a, b) => median(a.contender.samples) - median(b.contender.samples));
      const where = `GPU, ${found.workload.label}, ${layout}`;
      const measured = fastest === undefined ? null : shareOfCopy(fastest);
      targets.push(judged(`${where}: share of the copy's bandwidth`, share, measured, true, real));
      if (list !== 'vit') continue;
      const over = (name: string): Summary | null => {
        const baseline = named(name);
        return fastest === undefined || baseline === undefined ? null : cudaRatio(fastest, baseline);
      };
      const torch = over('torch-adamw-fused');
      targets.push(judged(`${where}: FTP-AdamW over torch's fused AdamW`, 1.45, torch, false, real));
      const authors = over('authors-adamp');
      targets.push(judged(`${where}: FTP-AdamW over the authors' optimizer`, 1 / 20, authors, false, real));
    }
  }
  return targets;
}

/**
 * @param judge false: the numbers are shown, but not judged (a quick run)
 */
export function judgeTargets(runs: Runs, judge: boolean): Target[] {
  const targets: Target[] = [];
  const add = (what: string, limit: number, measured: Summary | null, atLeast = false) => {
    targets.push(judged(what, limit, measured, atLeast, judge));
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
    add(`${where}: share of memcpy's bandwidth`, 0.75, contender?.shareOfCopy ?? null, true);
    add(`${where}: FTP-AdamW over unprojected AdamW`, 1.45, ratio(kernels?.contenders, name, 'adamw'));
    const narrow = ratio(kernels?.contenders, `ftp-adamw-bfloat16-${layout}`, 'adamw');
    add(`${where}: FTP-AdamW with state in bfloat16 over unprojected AdamW`, 1, narrow);
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
    "demo's training step: FTP-AdamW over tf.train.adam",
    1,
    ratio(runs.train[0]?.contenders, 'ftp-adamw', 'tf-adam'),
  );
  if (runs.cuda !== undefined && runs.cuda.length > 0) targets.push(...judgeCudaTargets(runs.cuda, judge));
  return targets;
}
