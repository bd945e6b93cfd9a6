/** Any report as one list of measured cases: what `compare` compares and `roofline` draws. */

import type { ReportFile } from './report_file.js';
import type { BenchReport, CudaReport, Timed } from './schema.js';

export interface MeasuredCase {
  /** What ran beside it, in turns: suite, place, list of variables. The same in every file. */
  group: string;
  name: string;
  label: string;
  /** Of one step, by round, in seconds; or one number, words of memory a parameter. */
  samples: readonly number[];
  unit: 's' | 'words';
  /** Measured on the CUDA runtime's double: times of no GPU. */
  emulated: boolean;
}

function timedCases(group: string, contenders: readonly Timed[]): MeasuredCase[] {
  return contenders.map(({ name, label, samples }) => ({
    group,
    name,
    label,
    samples,
    unit: 's',
    emulated: false,
  }));
}

/** Its contenders' names say all: they are the labels too. */
function cudaCases({ runs, device }: CudaReport): MeasuredCase[] {
  return runs.flatMap(({ workload, contenders }) =>
    contenders.map(({ name, samples }) => ({
      group: `cuda, ${workload.label} (${workload.parameters} parameters)`,
      name,
      label: name,
      samples,
      unit: 's' as const,
      emulated: device.emulated,
    })),
  );
}

function benchCases({ step, memory, kernels, train, cuda }: BenchReport): MeasuredCase[] {
  return [
    ...kernels.flatMap(({ list, threads, contenders }) =>
      timedCases(`kernels, ${list.label}, threads: ${threads}`, contenders),
    ),
    ...step.flatMap(({ backend, list, contenders }) =>
      timedCases(`step, ${backend}, ${list.label}`, contenders),
    ),
    ...memory.flatMap(({ backend, list, contender, label, peakWords }) =>
      peakWords === null
        ? []
        : [
            {
              group: `memory at most, ${backend}, ${list.label}`,
              name: contender,
              label,
              samples: [peakWords],
              unit: 'words' as const,
              emulated: false,
            },
          ],
    ),
    ...train.flatMap(({ backend, batchSize, contenders }) =>
      timedCases(`train, ${backend}, batches of ${batchSize}`, contenders),
    ),
    ...cuda.flatMap(cudaCases),
  ];
}

export function casesOf(file: ReportFile): MeasuredCase[] {
  return file.kind === 'cuda' ? cudaCases(file.report) : benchCases(file.report);
}

/** What a report says of where its numbers come from, by name. */
export function originOf(file: ReportFile): Record<string, string | number | boolean | null> {
  if (file.kind === 'cuda') {
    const { program, commit, modified, driver, toolkit, device } = file.report;
    return { gpu: device.name, driver, toolkit, program, commit, modified };
  }
  const { cpu, cores, simd, platform, gpu, driver, toolkit, node, tfjs, commit, modified } =
    file.report.environment;
  return { cpu, cores, simd, platform, gpu, driver, toolkit, node, tfjs, commit, modified };
}

/** Machine, commit and date in one line. */
export function describeOrigin(file: ReportFile): string {
  const { date, commit } = file.kind === 'cuda' ? file.report : file.report.environment;
  const { gpu, cpu, cores } = originOf(file);
  const machine = file.kind === 'cuda' ? gpu : `${cpu}, ${cores} cores${gpu === null ? '' : `; ${gpu}`}`;
  return [machine, date.slice(0, 10), ...(commit === null ? [] : [`commit ${commit.slice(0, 10)}`])].join(
    ', ',
  );
}
