/** Reports that were written earlier, as the tables that the run printed. */

import { formatCuda } from './cuda_tables.js';
import { groupBy } from './group.js';
import {
  formatClosing,
  formatEnvironment,
  formatKernels,
  formatMemory,
  formatStep,
  formatTargets,
  formatTrain,
} from './report.js';
import type { ReportFile } from './report_file.js';
import type { BenchReport, CudaReport } from './schema.js';
import { judgeCudaTargets } from './targets.js';

function formatBench(report: BenchReport): string {
  return [
    formatEnvironment(report.environment),
    ...report.kernels.map(formatKernels),
    ...report.step.map(formatStep),
    formatMemory(report.memory),
    ...report.train.map(formatTrain),
    ...(report.cuda.length === 0 ? [] : [formatCuda(report.cuda)]),
    formatClosing(report),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Files of one GPU are one table a workload, with the targets judged over all of them. */
export function formatFiles(files: readonly ReportFile[]): string {
  const parts: string[] = [];
  const cuda: CudaReport[] = [];
  for (const file of files) {
    if (file.kind === 'cuda') cuda.push(file.report);
    else parts.push(formatBench(file.report));
  }
  for (const reports of groupBy(cuda, ({ device }) => device.name).values()) {
    const targets = judgeCudaTargets(reports, true);
    parts.push(formatCuda(reports), ...(targets.length === 0 ? [] : [formatTargets(targets, '')]));
  }
  return parts.join('\n\n');
}
