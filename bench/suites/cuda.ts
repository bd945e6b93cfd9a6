/**
 * Suite `cuda`: builds and runs native/bench/cuda_bench, the CUDA step without tfjs and Node. Its tables take files of one
 * machine side by side, PyTorch's beside ours.
 */

import path from 'node:path';
import { cudaInfo } from 'tfjs-ftp/native';
import { groupBy } from '../../tools/group.js';
import { table } from '../../tools/table.js';
import { fixed, millions, milliseconds, ratioText } from '../format.js';
import { buildNativeBench, inFolder, runNative } from '../native.js';
import { readCudaReport } from '../report_file.js';
import type { CudaContender, CudaReport, CudaRun, Summary } from '../schema.js';
import { ratioByRound, ratioOfMedians, summarize } from '../statistics.js';
import {
  type BenchOptions,
  LIST_CHOICES,
  QUICK_ROUNDS,
  QUICK_SAMPLE_SECONDS,
  type Suite,
  Unavailable,
} from '../suite.js';

interface CudaSpec {
  /** What is measured, for people. */
  label: string;
  /** Options of cuda_bench. */
  options: Record<string, string | number>;
}

/** A list of cuda_bench; small ones say little on a GPU, so the one that `tiny` stands for there has 10,000 variables. */
type CudaList = 'vit' | 'resnet' | 'tiny-10k' | 'billion';

/** Of ViT-B/16 everything, of the other lists what the targets speak of; a sweep where no list was asked for. */
const CUDA_CONTENDERS: Record<CudaList, Record<string, string>> = {
  vit: {
    optimizer: 'ftp-adamw,ftp-adamw-amsgrad,ftp-adamw-decay,ftp-sgd-momentum,projection,adamw',
    check: 'off,on',
  },
  resnet: { optimizer: 'ftp-adamw,ftp-sgd-momentum,adamw' },
  'tiny-10k': { optimizer: 'ftp-adamw,ftp-sgd-momentum,adamw' },
  billion: { optimizer: 'ftp-adamw,adamw' },
};

function plan({ lists, rounds, quick }: BenchOptions): { specs: CudaSpec[] } {
  const common = {
    rounds: rounds ?? (quick ? QUICK_ROUNDS : 15),
    ...(quick ? { 'min-sample-ms': 1000 * QUICK_SAMPLE_SECONDS, 'copy-megabytes': 64 } : {}),
  };
  const all = lists.length === LIST_CHOICES.length;
  const named: CudaList[] = lists
    .filter((list) => !quick || list !== 'resnet')
    .map((list) => (list === 'tiny' ? 'tiny-10k' : list));
  if (all && !quick) named.push('billion');
  const specs: CudaSpec[] = named.map((list) => ({
    label: `list ${list}`,
    options: { list, ...CUDA_CONTENDERS[list], ...common },
  }));
  if (all) {
    const elements = quick ? '1048576' : '1048576,16777216,268435456';
    specs.push({ label: 'sweep', options: { elements, ...common } });
  }
  return { specs };
}

/** @throws Unavailable without a GPU, nvcc, cmake or the sources */
async function build(): Promise<string> {
  const { available, reason } = cudaInfo();
  if (!available) throw new Unavailable(`no GPU that the kernels run on: ${reason}`);
  return buildNativeBench('cuda_bench');
}

/** One process. */
function measure({ options }: CudaSpec, program: string): Promise<CudaReport> {
  return inFolder(async (folder) => {
    const json = path.join(folder, 'cuda.json');
    await runNative(program, { ...options, json });
    return readCudaReport(json);
  });
}

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

function cellsOf(entry: Entry, baselines: readonly Entry[]): string[] {
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
    cellsOf(entry, entry.contender.optimizer === 'copy' ? [] : baselines.map((baseline) => baseline.entry)),
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

export const cuda: Suite<'cuda', CudaSpec> = {
  part: 'cuda',
  build,
  plan,
  describe: ({ label }) => `cuda: ${label}`,
  measure: async (spec, program) => [await measure(spec, program)],
  /** Of reports of one machine. */
  format: (reports) =>
    [...new Set(reports.map(describeReport)), ...cudaWorkloads(reports).map(formatWorkload)].join('\n'),
};
