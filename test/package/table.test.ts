import { expect, test } from 'vitest';
import { table } from '../../tools/table.js';

test('a table has the first column to the left, the others to the right', () => {
  const text = table(
    ['', 'ms', 'ratio'],
    [
      ['a name', '1.5', '10'],
      ['b', '12.25', ''],
    ],
  );
  expect(text).toBe(['           ms  ratio', 'a name    1.5     10', 'b       12.25'].join('\n'));
});

test('columns that do not fit follow below, behind the first', () => {
  const text = table(['', 'first', 'second', 'third'], [['name', '1', '2', '3']], 20);
  expect(text).toBe(
    ['      first  second', 'name      1       2', '', '      third', 'name      3'].join('\n'),
  );
});
