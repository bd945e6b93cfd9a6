import type { OutputAxes } from './output_axis.js';
import type { StartedRecord } from './start_records.js';

/** Says which of the new variables have rows that are likely wrong for their layers; returns whether any has. */
export function warnOfDoubtfulRows(axes: OutputAxes, started: readonly StartedRecord[]): boolean {
  const names = started
    // Loaded state has its rows from the run that saved it.
    .filter(({ record, saved }) => saved === undefined && !record.state.spec.excluded)
    .map(({ record }) => record.name)
    .filter((name) => axes.isDoubtful(name));
  if (names.length === 0) return false;
  console.warn(
    `tfjs-ftp: the rows of ${names.map((name) => `'${name}'`).join(', ')} are taken along the last axis, which is likely ` +
      'wrong: by their names they belong to embeddings, depthwise or transposed convolutions. Give the option ' +
      '`model`, whose layers tell the rows, or `outputAxis` (returning -1 keeps the last axis, without this warning)',
  );
  return true;
}
