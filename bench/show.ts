/** Reports that were written earlier, as the tables that the run printed. */

import { groupBy } from '../tools/group.js';
import { formatClosing, formatEnvironment, formatTargets } from './format.js';
import type { ReportFile } from './report_file.js';
import type { BenchReport, CudaReport } from './schema.js';
import type { Measured, Suite } from './suite.js';
import { cuda } from './suites/cuda.js';
import { kernels } from './suites/kernels.js';
import { memory } from './suites/memory.js';
import { step } from './suites/step.js';
import { train } from './suites/train.js';
import { judgeCudaTargets } from './targets.js';

function formatBench(report: BenchReport, targets: boolean): string {
  const tables = <Part extends keyof Measured, Spec>({ part, format }: Suite<Part, Spec>) =>
    report[part].length === 0 ? '' : format(report[part]);
  return [
    formatEnvironment(report.environment),
    tables(kernels),
    tables(step),
    tables(memory),
    tables(train),
    tables(cuda),
    formatClosing(report, targets),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Files of one GPU are one table per workload, with the targets, where wanted, judged over all of them. */
export function formatFiles(files: readonly ReportFile[], withTargets: boolean): string {
  const parts: string[] = [];
  const reports: CudaReport[] = [];
  for (const file of files) {
    if (file.kind === 'cuda') reports.push(file.report);
    else parts.push(formatBench(file.report, withTargets));
  }
  for (const ofDevice of groupBy(reports, ({ device }) => device.name).values()) {
    const targets = withTargets ? judgeCudaTargets(ofDevice, true) : [];
    parts.push(cuda.format(ofDevice), ...(targets.length === 0 ? [] : [formatTargets(targets, '')]));
  }
  return parts.join('\n\n');
}
