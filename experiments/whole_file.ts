/** Files that are whole where they are there. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes beside the file's place first, and makes its folder: a process that is killed leaves no half. */
export async function writeWhole(file: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const work = `${file}.${process.pid}`;
  await writeFile(work, data);
  await rename(work, file);
}
