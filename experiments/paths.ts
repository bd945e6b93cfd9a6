/** Where experiments read and write. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository: the nearest folder above that holds experiments/package.json, run from the sources or from dist/tools. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'experiments', 'package.json'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error('experiments/package.json was not found above the program');
    folder = above;
  }
  return folder;
}

export const ROOT = findRoot();
/** Packages of data, and what was drawn from them; safe to delete. */
export const CACHE = join(ROOT, '.cache', 'experiments');
export const RUNS = join(ROOT, 'experiments', 'runs');
export const REPORTS = join(ROOT, 'docs', 'experiments');
