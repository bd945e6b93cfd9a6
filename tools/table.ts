/** Tables as plain text: the same in a terminal, a file and a test. */
import Table from 'cli-table3';

/** What fits into a terminal beside something else. */
const WIDTH = 100;
const GAP = '  ';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) => [
    [side, ''],
    [`${side}-mid`, ''],
    [`${side}-left`, ''],
    [`${side}-right`, ''],
  ]),
);

function lines(head: string[], rows: readonly string[][]): string {
  const result = new Table({
    head,
    colAligns: ['left', ...head.slice(1).map(() => 'right' as const)],
    chars: { ...NO_LINES, middle: '' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP.length },
  });
  result.push(...rows);
  return result
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/**
 * A table without lines, the first column to the left, the others to the right. Columns that would go beyond `width`
 * characters follow below, behind the first column once more.
 *
 * @param head one text per column
 * @param rows as many texts each
 */
export function table(head: readonly string[], rows: readonly string[][], width = WIDTH): string {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] as string).length)),
  );
  const blocks: number[][] = [];
  let used = 0;
  for (let i = 1; i < head.length; ++i) {
    const needed = GAP.length + (widths[i] as number);
    if (blocks.length === 0 || used + needed > width) {
      blocks.push([0]);
      used = widths[0] as number;
    }
    blocks.at(-1)?.push(i);
    used += needed;
  }
  const pick = (cells: readonly string[], columns: readonly number[]) =>
    columns.map((i) => cells[i] as string);
  return blocks
    .map((columns) =>
      lines(
        pick(head, columns),
        rows.map((row) => pick(row, columns)),
      ),
    )
    .join('\n\n');
}
