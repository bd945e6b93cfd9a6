/** The comparison as a table for the terminal. */
import Table from 'cli-table3';
import type { Row } from './comparison.js';

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** Accuracies in percent; `columns` are the names of the shifted sets. */
export function formatTable(rows: readonly Row[], columns: readonly string[]): string {
  const head = ['', 'learning rate', 'ID', ...columns, 'mean OOD', 's/step'];
  const table = new Table({
    head,
    colAligns: ['left', ...head.slice(1).map(() => 'right' as const)],
    // Plain text without lines: the same in a terminal, a file and a test, and narrow enough for 120 columns.
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  for (const row of rows) {
    table.push([
      row.label,
      String(row.learningRate),
      percent(row.id),
      ...columns.map((name) => percent(row.ood[name] as number)),
      percent(row.meanOod),
      row.secondsPerStep.toFixed(3),
    ]);
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
