/**
 * Makes table.json: the emoji that all sets but two have, by classes that are merged from the subgroups of emojibase-data (MIT). Run once,
 * with `node dist/tools/experiments/emoji/make_table.js`; the table is kept, so that the package need not be.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../../tools/random.js';
import { type DataPackage, packageFolder } from '../data/packages.js';
import { CACHE } from '../paths.js';
import { EMOJI_SETS, normalCode, openSet } from './sets.js';
import { FOLDS, TABLE_FILE } from './table.js';

const EMOJIBASE: DataPackage = {
  name: 'emojibase-data',
  version: '17.0.0',
  integrity:
    'sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==',
  licence: 'MIT',
  origin: 'Miles Johnson, Emojibase',
};

/** Subgroups by class. What is left out has no shape of its own (flags, clocks, signs) or is drawn as a face or a hand throughout. */
const CLASSES: Record<string, readonly string[]> = {
  mammal: ['animal-mammal'],
  bird: ['animal-bird'],
  'reptile, amphibian, sea animal': ['animal-reptile', 'animal-amphibian', 'animal-marine'],
  bug: ['animal-bug'],
  plant: ['plant-flower', 'plant-other'],
  'fruit, vegetable': ['food-fruit', 'food-vegetable'],
  meal: ['food-prepared', 'food-asian'],
  sweet: ['food-sweet'],
  drink: ['drink', 'dishware'],
  building: ['place-building', 'place-religious'],
  landscape: ['place-geographic', 'place-other'],
  'ground transport': ['transport-ground'],
  'air and water transport': ['transport-air', 'transport-water'],
  weather: ['sky-weather'],
  sport: ['sport', 'award-medal'],
  'game, event': ['game', 'event', 'arts-crafts'],
  clothing: ['clothing'],
  music: ['musical-instrument', 'music', 'sound'],
  electronics: ['phone', 'computer', 'light-video'],
  office: ['book-paper', 'writing', 'mail', 'office', 'money'],
  'tool, household': ['tool', 'lock', 'science', 'medical', 'household'],
  face: [
    'face-smiling',
    'face-affection',
    'face-tongue',
    'face-neutral-skeptical',
    'face-sleepy',
    'face-unwell',
    'face-hat',
    'face-glasses',
    'face-concerned',
    'face-negative',
    'face-costume',
    'cat-face',
  ],
  hand: [
    'hand-fingers-open',
    'hand-fingers-partial',
    'hand-single-finger',
    'hand-fingers-closed',
    'hands',
    'hand-prop',
  ],
  person: ['person', 'person-role', 'person-fantasy', 'person-gesture', 'person-activity'],
};

/** Sets that ended before the newest emoji, or are not whole: their domains are smaller. */
const MAY_LACK: ReadonlySet<string> = new Set(['emojione', 'fluent 3d']);

/** Emoji per class: a fifth of all are persons. */
const MOST = 60;

interface Entry {
  hexcode: string;
  label: string;
  subgroup?: number;
}

async function read<T>(folder: string, file: string): Promise<T> {
  return JSON.parse(await readFile(join(folder, file), 'utf8')) as T;
}

async function main(): Promise<void> {
  const packages = join(CACHE, 'packages');
  const folder = await packageFolder(EMOJIBASE, packages);
  const { subgroups } = await read<{ subgroups: Record<string, string> }>(folder, 'meta/groups.json');
  const classes = Object.keys(CLASSES);
  const classOf = new Map(
    classes.flatMap((name, i) => (CLASSES[name] as string[]).map((group) => [group, i])),
  );
  const sets = await Promise.all(EMOJI_SETS.map((set) => openSet(set, packages)));
  const emoji: [string, number, string][] = [];
  const lacking = EMOJI_SETS.map(() => 0);
  for (const { hexcode, label, subgroup } of await read<Entry[]>(folder, 'en/data.json')) {
    const index = classOf.get(subgroups[String(subgroup)] ?? '');
    if (index === undefined) continue;
    const code = normalCode(hexcode);
    const name = label
      .toLowerCase()
      .normalize('NFD')
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '');
    const found = await Promise.all(sets.map((set) => set.drawing(code, name)));
    for (const [i, drawing] of found.entries())
      if (drawing === undefined) lacking[i] = (lacking[i] as number) + 1;
    if (found.every((drawing, i) => drawing !== undefined || MAY_LACK.has(EMOJI_SETS[i]?.name ?? '')))
      emoji.push([code, index, name]);
  }
  const random = new Random('emoji', 'folds');
  const rows = classes.flatMap((_, index) => {
    const members = random.shuffle(emoji.filter(([, label]) => label === index)).slice(0, MOST);
    return members.map(([code, label, name], i) => [code, label, (i + index) % FOLDS, name] as const);
  });
  // A line per emoji, in the order of their codes within each class.
  rows.sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n');
  await writeFile(
    TABLE_FILE,
    `{\n  "classes": ${JSON.stringify(classes)},\n  "emoji": [\n${lines}\n  ]\n}\n`,
  );
  for (const [i, { name }] of EMOJI_SETS.entries()) {
    const missing = lacking[i] as number;
    console.log(`${name}: lacks ${missing}`);
  }
  for (const [i, name] of classes.entries()) {
    console.log(`${name}: ${rows.filter(([, label]) => label === i).length}`);
  }
  console.log(`${rows.length} emoji in ${classes.length} classes`);
}

await main();
