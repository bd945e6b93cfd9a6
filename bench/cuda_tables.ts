/** Tables of runs on a GPU; files of one machine side by side, PyTorch's beside ours. */

import { groupBy } from '../tools/group.js';
import { table } from '../tools/table.js';
import { fixed, millions, milliseconds, ratioText } from './report.js';
import type { CudaContender, CudaReport, CudaRun, Summary } from './schema.js';
import { ratioByRound, ratioOfMedians, summarize } from './statistics.js';

/** Whose times the others' are divided by, where it ran: name of the contender and head of the column. */
const BASELINES = [
  { name: 'adamw-three', head: 'x AdamW' },
  { name: 'torch-adamw-fused', head: 'x torch AdamW' },
  { name: 'authors-adamp', head: "x authors' AdamP" },
] as const;

const MICROSECONDS = 1e6;

/** A contender and the run that it took turns in. */
interface Entry {
  contender: CudaContender;
  run: CudaRun;
}

interface Workload {
  workload: CudaRun['workload'];
  entries: Entry[];
}

/** Contenders of all reports by workload. */
export function cudaWorkloads(reports: readonly CudaReport[]): Workload[] {
  const runs = reports.flatMap((report) => report.runs);
  const groups = groupBy(runs, ({ workload: { name, parameters } }) => `${name} ${parameters}`);
  return [...groups.values()].map((group) => ({
    workload: (group[0] as CudaRun).workload,
    entries: group.flatMap((run) => run.contenders.map((contender) => ({ contender, run }))),
  }));
}

/** Time over the baseline's: by round where both took turns, else of the medians. */
export function cudaRatio(entry: Entry, baseline: Entry): Summary {
  const [times, others] = [entry.contender.samples, baseline.contender.samples];
  return entry.run === baseline.run && times.length === others.length
    ? ratioByRound(times, others)
    : ratioOfMedians(times, others);
}

/** Bandwidth over that of the copy of the same run; null where bytes are not counted or no copy ran. */
export function shareOfCopy({ contender, run }: Entry): Summary | null {
  const copy = run.contenders.find(({ optimizer }) => optimizer === 'copy');
  if (copy === undefined || copy.bytes === null || contender.bytes === null) return null;
  const scale = contender.bytes / copy.bytes;
  return ratioByRound(
    copy.samples.map((time) => time * scale),
    contender.samples,
  );
}

function row(entry: Entry, baselines: readonly Entry[]): string[] {
  const { contender } = entry;
  const seconds = summarize(contender.samples);
  const { bytes, hostSamples } = contender;
  return [
    contender.name,
    fixed(contender.launches, 0),
    milliseconds(seconds),
    hostSamples.length === 0 ? '' : fixed(MICROSECONDS * summarize(hostSamples).median, 1),
    fixed(contender.bytesPerParameter, 0),
    bytes === null ? '' : fixed(bytes / seconds.median / 1e9, 1),
    ratioText(shareOfCopy(entry) ?? undefined),
    ...baselines.map((baseline) => (baseline === entry ? '' : ratioText(cudaRatio(entry, baseline)))),
  ];
}

function formatWorkload({ workload, entries }: Workload): string {
  const baselines = BASELINES.flatMap(({ name, head }) => {
    const entry = entries.find(({ contender }) => contender.name === name);
    return entry === undefined ? [] : [{ entry, head }];
  });
  const rows = entries.map((entry) =>
    // A copy moves another number of bytes than a step: their times do not compare.
    row(entry, entry.contender.optimizer === 'copy' ? [] : baselines.map((baseline) => baseline.entry)),
  );
  const head = ['', 'launches', 'ms', 'host us', 'B/par.', 'GB/s', 'of copy'];
  return [
    `${workload.label}: ${workload.variables} variables, ${millions(workload.parameters)}`,
    table(
      [...head, ...baselines.map((baseline) => baseline.head)],
      rows.map((cells) => [
        ...cells,
        ...Array<string>(head.length + baselines.length - cells.length).fill(''),
      ]),
    ),
  ].join('\n');
}

function describeReport({
  program,
  date,
  commit,
  modified,
  driver,
  toolkit,
  device,
  rounds,
}: CudaReport): string {
  const source = commit === null ? '' : `, commit ${commit.slice(0, 10)}${modified ? ' with changes' : ''}`;
  return (
    `${program}${source}, ${date.slice(0, 10)}: ${device.name} (${device.computeCapability}), driver ` +
    `${driver ?? 'unknown'}, CUDA ${toolkit ?? 'unknown'}, ${rounds} rounds` +
    (device.emulated ? '; HOST EMULATION: these are times of no GPU' : '')
  );
}

/** Reports of one machine. */
export function formatCuda(reports: readonly CudaReport[]): string {
  const heads = new Set(reports.map(describeReport));
  return [...heads, ...cudaWorkloads(reports).map(formatWorkload)].join('\n');
}
