/** The emoji of a set as pixels, drawn once and then kept. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from '../paths.js';
import { writeWhole } from '../whole_file.js';
import { draw, EMOJI_SETS, type EmojiSet, type EmojiSetName, openSet } from './sets.js';
import type { Emoji } from './table.js';

/** Raised when `draw` gives other pixels. */
const DRAWING_VERSION = 1;

/**
 * The drawings of a set, in the order of `emoji`, RGB bytes of `size` by `size`; null for an emoji that the set lacks.
 *
 * @throws MissingData where the set cannot be had; sharp's Error for a drawing that it cannot read.
 */
export async function emojiImages(
  setName: EmojiSetName,
  emoji: readonly Emoji[],
  size: number,
  say: (text: string) => void,
): Promise<(Uint8Array | null)[]> {
  const set = EMOJI_SETS.find(({ name }) => name === setName) as EmojiSet;
  const bytes = 3 * size * size;
  const key = JSON.stringify([DRAWING_VERSION, set.package.integrity, size, emoji.map(({ code }) => code)]);
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16);
  const file = join(CACHE, 'drawn', `${setName.replaceAll(' ', '-')}-${digest}.rgb`);
  let pixels = await readFile(file).catch(() => null);
  if (pixels === null || pixels.length !== bytes * emoji.length) {
    const open = await openSet(set, join(CACHE, 'packages'));
    say(`drawing ${emoji.length} emoji of ${setName}`);
    const drawn: Uint8Array[] = [];
    // Black all over: a drawing has a white margin.
    const none = new Uint8Array(bytes);
    for (const { code, name } of emoji) {
      const drawing = await open.drawing(code, name);
      drawn.push(drawing === undefined ? none : await draw(drawing, size));
    }
    pixels = Buffer.concat(drawn);
    await writeWhole(file, pixels);
  }
  const all = pixels;
  return emoji.map((_, i) => {
    const image = new Uint8Array(all.subarray(i * bytes, (i + 1) * bytes));
    return image.some((value) => value !== 0) ? image : null;
  });
}
