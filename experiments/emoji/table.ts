/** Which emoji there are, their classes and folds: made by make_table.ts, and kept in table.json. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ROOT } from '../paths.js';

/** Emoji are dealt into as many parts, class by class. */
export const FOLDS = 5;
/** The fold that settings are chosen on; it is never tested on. */
export const VALIDATION_FOLD = FOLDS - 1;

const Table = z.object({
  classes: z.array(z.string()),
  /** Code points, class, fold, name. */
  emoji: z.array(z.tuple([z.string(), z.int(), z.int(), z.string()])),
});

export interface Emoji {
  /** Hexadecimal code points joined by `-`, without fe0f. */
  code: string;
  /** Index of its class. */
  label: number;
  fold: number;
  /** Its name with hyphens, for sets that know no code points. */
  name: string;
}

export interface EmojiTable {
  classes: string[];
  emoji: Emoji[];
}

export const TABLE_FILE = join(ROOT, 'experiments', 'emoji', 'table.json');

export async function readTable(): Promise<EmojiTable> {
  const { classes, emoji } = Table.parse(JSON.parse(await readFile(TABLE_FILE, 'utf8')));
  return { classes, emoji: emoji.map(([code, label, fold, name]) => ({ code, label, fold, name })) };
}

export type Split = 'train' | 'validation' | 'test';

/**
 * The emoji of a split. Each seed tests on another fold than the next; the folds left over are trained on.
 *
 * @param seed from 1.
 */
export function emojiOf({ emoji }: EmojiTable, split: Split, seed: number): Emoji[] {
  const tested = (seed - 1) % VALIDATION_FOLD;
  const belongs = (fold: number) =>
    fold === VALIDATION_FOLD ? 'validation' : fold === tested ? 'test' : 'train';
  return emoji.filter(({ fold }) => belongs(fold) === split);
}
