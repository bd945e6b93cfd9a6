/** Finds the image files of a folder whose sub-folders are classes, and splits them for validation. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import * as tfdata from '@tensorflow/tfjs-data';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import { IMAGE_EXTENSIONS } from './decode.js';

/** One image file and the position of its class in `classNames`. */
export interface ImageFile {
  readonly path: string;
  readonly label: number;
}

async function list(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new FtpError(
      'IMAGE_FOLDER_INVALID',
      `cannot read the image folder ${directory}: ${code === 'ENOENT' ? 'it does not exist' : (cause as Error).message}`,
      { cause },
    );
  }
}

/** Plain code-point order, the same on every machine and in every locale. */
function inOrder(names: string[]): string[] {
  return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Folders that hold no data of the user: hidden ones, and what macOS adds to archives. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || name === '__MACOSX';
}

/** What an entry of a folder is, with symbolic links followed. */
async function kindOf(path: string, entry: Dirent): Promise<'folder' | 'file' | 'dangling link' | 'other'> {
  let found: Pick<Dirent, 'isDirectory' | 'isFile'> = entry;
  if (entry.isSymbolicLink()) {
    try {
      found = await stat(path);
    } catch {
      return 'dangling link';
    }
  }
  return found.isDirectory() ? 'folder' : found.isFile() ? 'file' : 'other';
}

/**
 * Image files anywhere below a folder, in order of their paths. A dangling link with the name of an image
 * counts as one, so that a missing image is reported and not lost.
 *
 * @param above real paths of the folders above, which a link may lead back to
 */
async function imagesBelow(directory: string, above: readonly string[]): Promise<string[]> {
  const entries = await list(directory);
  const here = await realpath(directory);
  if (above.includes(here)) return [];
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const found: string[] = [];
  for (const name of inOrder([...byName.keys()])) {
    if (isHidden(name)) continue;
    const path = join(directory, name);
    const kind = await kindOf(path, byName.get(name) as Dirent);
    if (kind === 'folder') found.push(...(await imagesBelow(path, [...above, here])));
    else if (kind !== 'other' && IMAGE_EXTENSIONS.includes(extname(name).toLowerCase())) found.push(path);
  }
  return found;
}

/**
 * Lists the images of every class. Links to folders are folders, links to files are files, and what lies
 * beside the class folders is ignored.
 *
 * @param classNames sub-folders to take, in the order of their labels; undefined takes all but hidden ones and
 *   `__MACOSX`, sorted by name
 * @returns class names, and the files class by class
 * @throws FtpError `IMAGE_FOLDER_INVALID` if the folder cannot be read, has no class sub-folders, lacks one
 *   of `classNames`, or a class holds no image
 */
export async function findImageFiles(
  directory: string,
  classNames?: readonly string[],
): Promise<{ classNames: string[]; files: ImageFile[] }> {
  const root = resolve(directory);
  const folders: string[] = [];
  for (const entry of await list(root)) {
    if ((await kindOf(join(root, entry.name), entry)) === 'folder') folders.push(entry.name);
  }
  const present = inOrder(folders.filter((name) => !isHidden(name)));
  if (present.length === 0) {
    throw new FtpError(
      'IMAGE_FOLDER_INVALID',
      `${root} has no sub-folders; put the images of each class in a sub-folder of its own, such as ${join(root, 'cat', '1.png')}`,
    );
  }
  const missing = classNames?.filter((name) => !folders.includes(name)) ?? [];
  if (missing.length > 0) {
    throw new FtpError(
      'IMAGE_FOLDER_INVALID',
      `${root} has no sub-folder for the classes ${missing.join(', ')} of classNames; it has ${present.join(', ')}`,
    );
  }
  const names = classNames === undefined ? present : [...classNames];
  const above = [await realpath(root)];
  const files: ImageFile[] = [];
  for (const [label, name] of names.entries()) {
    const paths = await imagesBelow(join(root, name), above);
    if (paths.length === 0) {
      throw new FtpError(
        'IMAGE_FOLDER_INVALID',
        `the class folder ${join(root, name)} holds no image (${IMAGE_EXTENSIONS.join(' ')}); if it is no class, name the folders that are with the option classNames`,
      );
    }
    files.push(...paths.map((path) => ({ path, label })));
  }
  return { classNames: names, files };
}

/**
 * Takes one side of a split made class by class, so that both sides have every class: of n images of a
 * class, round(n * share) go to validation, at least one where n > 1, and never all. The same seed gives
 * the same split.
 *
 * @throws RangeError if the validation side would be empty
 */
export async function splitFiles(
  files: readonly ImageFile[],
  share: number,
  subset: 'training' | 'validation',
  seed: number,
): Promise<ImageFile[]> {
  const chosen: ImageFile[] = [];
  for (const label of new Set(files.map((file) => file.label))) {
    const members = files.filter((file) => file.label === label);
    const order = await tfdata
      .array(members.map((_, index) => index))
      .shuffle(members.length, `split ${seed} ${label}`, false)
      .toArray();
    const count = members.length > 1 ? Math.max(1, Math.round(members.length * share)) : 0;
    const held = new Set(order.slice(0, Math.min(count, members.length - 1)));
    chosen.push(...members.filter((_, index) => held.has(index) === (subset === 'validation')));
  }
  if (chosen.length === 0) {
    throw new RangeError(
      `validationSplit ${describe(share)} leaves no image for validation: every class has a single image`,
    );
  }
  return chosen;
}
