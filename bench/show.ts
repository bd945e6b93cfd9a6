/** Reports that were written earlier, as the tables that the run printed. */

import { groupBy } from '../tools/group.js';
import { formatCuda } from './cuda_tables.js';
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

function formatBench(report: BenchReport, targets: boolean): string {
  return [
    formatEnvironment(report.environment),
    ...report.kernels.map(formatKernels),
    ...report.step.map(formatStep),
    formatMemory(report.memory),
    ...report.train.map(formatTrain),
    ...(report.cuda.length === 0 ? [] : [formatCuda(report.cuda)]),
    formatClosing(report, targets),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Files of one GPU are one table per workload, with the targets, where wanted, judged over all of them. */
export function formatFiles(files: readonly ReportFile[], withTargets: boolean): string {
  const parts: string[] = [];
  const cuda: CudaReport[] = [];
  for (const file of files) {
    if (file.kind === 'cuda') cuda.push(file.report);
    else parts.push(formatBench(file.report, withTargets));
  }
  for (const reports of groupBy(cuda, ({ device }) => device.name).values()) {
    const targets = withTargets ? judgeCudaTargets(reports, true) : [];
    parts.push(formatCuda(reports), ...(targets.length === 0 ? [] : [formatTargets(targets, '')]));
  }
  return parts.join('\n\n');
}
