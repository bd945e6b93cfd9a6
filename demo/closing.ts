/** What the table shows, and what it does not, in words made from its numbers. */
import type { DemoOptions } from './cli_options.js';
import type { Row } from './comparison.js';
import type { MethodName } from './methods.js';

/** Accuracies nearer than this, in points, are called level: a seed changes them by as much. */
const NOISE = 1;

function points(share: number): string {
  return (100 * share).toFixed(1);
}

/** Which of the other methods ours is above, level with and below, by one accuracy. */
function standing(ours: Row, others: readonly Row[], accuracy: (row: Row) => number): string {
  const gap = (other: Row) => 100 * (accuracy(ours) - accuracy(other));
  const list = (title: string, rows: readonly Row[]) =>
    rows.length === 0
      ? []
      : [`${title} ${rows.map((row) => `${row.label} (${points(accuracy(row))})`).join(', ')}`];
  return [
    ...list(
      'above',
      others.filter((other) => gap(other) > NOISE),
    ),
    ...list(
      'level with',
      others.filter((other) => Math.abs(gap(other)) <= NOISE),
    ),
    ...list(
      'below',
      others.filter((other) => gap(other) < -NOISE),
    ),
  ].join('; ');
}

const SETTINGS = {
  codes:
    'Each method runs with the settings that did best on validation fonts of the target domain; no shifted image was\n' +
    'used to choose them (docs/demo.md).',
  kinds: 'The settings are those chosen for reading serial codes.',
  own:
    'The settings are those of the glyph task. Choose your own on validation images (--lr, --steps), never on shifted\n' +
    'ones.',
};

const LIMITS =
  'What to expect of FTP: at the same learning rate it keeps more of what pre-training knows than plain AdamW does.\n' +
  'Where the pre-trained features already solve the task, a linear probe does as well in less time; where pre-training\n' +
  'has not covered the task, holding on to it costs accuracy (--task kinds shows it). One seed is one sample:\n' +
  `differences of ${NOISE} point or less say nothing.`;

/** The text under the table. */
export function closingText(
  rows: readonly Row[],
  { data, task, sweep }: Pick<DemoOptions, 'data' | 'task' | 'sweep'>,
): string {
  const find = (names: readonly MethodName[]) => rows.filter((row) => names.includes(row.method));
  const others = find(['adamw', 'l2sp', 'probe']);
  const lines = find(['ftp', 'ftp-sgd']).flatMap((ours) => {
    if (others.length === 0) return [];
    return [
      `${ours.label}: mean OOD ${points(ours.meanOod)} is ${standing(ours, others, (row) => row.meanOod)}.`,
      `${' '.repeat(ours.label.length)}  ID ${points(ours.id)} is ${standing(ours, others, (row) => row.id)}.`,
    ];
  });
  if (lines.length > 0) lines.push('');
  lines.push(SETTINGS[data === undefined ? task : 'own']);
  if (!sweep) lines.push('Add --sweep for the picture: accuracy over the learning rate, AdamW against FTP.');
  return ['', ...lines, LIMITS, ''].join('\n');
}
