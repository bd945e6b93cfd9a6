/** The comparison as a table for the terminal. */
import { table } from '../tools/table.js';
import type { Row } from './comparison.js';

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

/** Accuracies in percent; `columns` are the names of the shifted sets. */
export function formatTable(rows: readonly Row[], columns: readonly string[]): string {
  const head = ['', 'rate', 'ID', ...columns, 'mean OOD', 's/step'];
  return table(
    head,
    rows.map((row) => [
      row.label,
      String(row.learningRate),
      percent(row.id),
      ...columns.map((name) => percent(row.ood[name] as number)),
      percent(row.meanOod),
      row.secondsPerStep.toFixed(3),
    ]),
  );
}
