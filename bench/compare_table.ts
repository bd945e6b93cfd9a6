/** A comparison as text. */

import { groupBy } from '../tools/group.js';
import { table } from '../tools/table.js';
import {
  CONFIDENCE,
  type ComparedCase,
  type CompareOptions,
  type Comparison,
  MIN_SAMPLES,
  TOLERANCE,
} from './compare.js';
import { milliseconds, ratioText } from './report.js';
import type { Summary } from './schema.js';

const MARKS = { slower: 'SLOWER', faster: 'faster', noise: 'within noise', 'not judged': 'not judged' };

const HEADS = { s: ['a, ms', 'b, ms'], words: ['a, words', 'b, words'], ratio: ['a', 'b'] } as const;

function row({ label, a, b, unit, ratio, interval, verdict, reason }: ComparedCase): string[] {
  const value = (summary: Summary) => (unit === 's' ? milliseconds(summary) : ratioText(summary));
  return [
    label,
    value(a),
    value(b),
    ratio.toFixed(3),
    interval === null ? '' : `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`,
    reason === null ? MARKS[verdict] : `${MARKS[verdict]}: ${reason}`,
  ];
}

/** One table a group of cases, then what was left over, then how cases were judged. */
export function formatComparison(
  { cases, onlyA, onlyB, warnings }: Comparison,
  { tolerance = TOLERANCE }: CompareOptions = {},
): string {
  const groups = groupBy(cases, ({ group }) => group);
  const parts = [...groups].map(([group, members]) => {
    const [first] = members;
    const head = ['', ...HEADS[first?.unit ?? 's'], 'b / a', `${100 * CONFIDENCE}% interval`, ''];
    return `${group}\n${table(head, members.map(row))}`;
  });
  const listed = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [[title, ...lines.map((line) => `- ${line}`)].join('\n')];
  return [
    ...listed('Warnings', warnings),
    ...parts,
    ...listed('Only in a', onlyA),
    ...listed('Only in b', onlyB),
    `Slower or faster: the ${100 * CONFIDENCE}% bootstrap interval of the ratio of medians lies wholly beyond ` +
      `${(100 * tolerance).toFixed(1)}% around 1, from at least ${MIN_SAMPLES} samples on each side.`,
  ].join('\n\n');
}
