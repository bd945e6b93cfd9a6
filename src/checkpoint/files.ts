/**
 * Folders that are there in full or not at all. What is written goes into a folder beside, is synced and renamed; what is
 * removed is renamed before. So a process that is killed at any moment leaves no half of a checkpoint under a
 * checkpoint's name. No tfjs here.
 */

import { createHash } from 'node:crypto';
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { FtpError, type FtpErrorCode } from '../errors.js';

const FORMAT = 'tfjs-ftp-checkpoint';
const VERSION = 1;
const MANIFEST = 'manifest.json';
export const TENSORS = 'tensors.bin';

/** `000012-step-3400`: saved as the twelfth, after 3400 steps. */
const NAME = /^(\d{6,})-step-(\d+)$/;
/** Folders of a process that wrote or removed a checkpoint when it ended. */
const LEFTOVER = /^\.(?:writing|removing)-(\d+)-/;
const READ_AT_ONCE = 2 ** 22;

/** A checkpoint of a directory. */
export interface CheckpointEntry {
  path: string;
  /** Counts up with every checkpoint of the directory. */
  sequence: number;
  step: number;
}

/** What a manifest has beyond what is written here. */
export type Contents = { [key: string]: unknown };

interface FileRecord {
  bytes: number;
  sha256: string;
}

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');
const codeOf = (error: unknown) => (error as NodeJS.ErrnoException | null)?.code;

export function invalid(folder: string, found: string, cause?: unknown): FtpError {
  return new FtpError('CHECKPOINT_INVALID', `${folder} is not a checkpoint that can be read: ${found}`, {
    cause,
  });
}

/** The checkpoints of a directory, the oldest first; none where there is no such directory. */
export async function listCheckpoints(directory: string): Promise<CheckpointEntry[]> {
  let names: string[];
  try {
    names = await fs.readdir(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw invalid(directory, `the directory cannot be listed (${(error as Error).message})`, error);
  }
  return names
    .flatMap((name) => {
      const [, sequence, step] = NAME.exec(name) ?? [];
      if (sequence === undefined) return [];
      return { path: path.join(directory, name), sequence: Number(sequence), step: Number(step) };
    })
    .sort((a, b) => a.sequence - b.sequence);
}

/** Writes data one after another into a file, and counts and sums them. */
export class DataFile {
  private readonly hash = createHash('sha256');
  private bytes = 0;

  constructor(private readonly handle: FileHandle) {}

  async write(data: Uint8Array): Promise<void> {
    this.hash.update(data);
    this.bytes += data.length;
    for (let at = 0; at < data.length; ) {
      const { bytesWritten } = await this.handle.write(data, at, Math.min(data.length - at, READ_AT_ONCE));
      at += bytesWritten;
    }
  }

  end(): FileRecord {
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }
}

/** Names in a folder are on the disk when the folder is synced; Windows cannot open one, and writes them itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** An error of the file system as one of this package; other errors as they are. `what`: what could not be done. */
export function fileFailure(code: FtpErrorCode, what: string, error: unknown): unknown {
  if ((error as NodeJS.ErrnoException | null)?.syscall === undefined) return error;
  return new FtpError(code, `${what}: ${(error as Error).message}`, { cause: error });
}

/** Makes a file, whose bytes are on the disk when this ends. */
async function writeSynced<T>(file: string, write: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await fs.open(file, 'wx');
  try {
    const result = await write(handle);
    await handle.sync();
    return result;
  } finally {
    await handle.close();
  }
}

/** Writes a file that is there in full or not at all, and takes the place of one of its name. Its folder must exist. */
export async function writeAtomically(file: string, text: string): Promise<void> {
  const folder = path.dirname(file);
  const temporary = beside(folder, 'writing');
  try {
    await writeSynced(temporary, (handle) => handle.writeFile(text));
    await fs.rename(temporary, file);
    await syncFolder(folder);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

async function makeDirectory(directory: string): Promise<void> {
  const first = await fs.mkdir(directory, { recursive: true });
  if (first === undefined) return;
  // Every folder on the way down is a name in the one above it.
  for (let made = path.resolve(directory); ; made = path.dirname(made)) {
    await syncFolder(path.dirname(made));
    if (made === path.resolve(first)) return;
  }
}

let written = 0;
const beside = (directory: string, what: 'writing' | 'removing') =>
  path.join(directory, `.${what}-${process.pid}-${++written}-${Date.now().toString(36)}`);

async function removeCheckpoint(directory: string, entry: CheckpointEntry): Promise<void> {
  const aside = beside(directory, 'removing');
  try {
    await fs.rename(entry.path, aside);
  } catch (error) {
    // Another process that writes to the same folder was faster.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // Else the files could be gone from the disk and the name still there.
  await syncFolder(directory);
  await fs.rm(aside, { recursive: true, force: true });
}

/**
 * Writes a checkpoint, and then removes the oldest of those beyond `keep`.
 *
 * @param write writes the data and returns what else the manifest has.
 * @param keep how many stay; null: all.
 * @throws FtpError CHECKPOINT_FAILED if the file system refuses; the checkpoints before are as they were.
 */
export async function writeCheckpoint(
  directory: string,
  step: number,
  keep: number | null,
  write: (data: DataFile) => Promise<Contents>,
): Promise<string> {
  const temporary = beside(directory, 'writing');
  try {
    await makeDirectory(directory);
    await fs.mkdir(temporary);
    let contents: Contents = {};
    const record = await writeSynced(path.join(temporary, TENSORS), async (handle) => {
      const data = new DataFile(handle);
      contents = await write(data);
      return data.end();
    });
    const manifest = { format: FORMAT, version: VERSION, step, ...contents, files: { [TENSORS]: record } };
    const sum = sha256(JSON.stringify(manifest));
    const text = `${JSON.stringify({ ...manifest, sha256: sum })}\n`;
    await writeSynced(path.join(temporary, MANIFEST), (handle) => handle.writeFile(text));
    await syncFolder(temporary);
    const before = await listCheckpoints(directory);
    const sequence = (before.at(-1)?.sequence ?? 0) + 1;
    const place = path.join(directory, `${String(sequence).padStart(6, '0')}-step-${step}`);
    await fs.rename(temporary, place);
    await syncFolder(directory);
    const surplus = keep === null ? [] : before.slice(0, Math.max(0, before.length + 1 - keep));
    for (const entry of surplus) await removeCheckpoint(directory, entry);
    return place;
  } catch (error) {
    await fs.rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw fileFailure(
      'CHECKPOINT_FAILED',
      `cannot write a checkpoint of step ${step} to ${directory}`,
      error,
    );
  }
}

/** Removes what processes that were killed have left; those that run may still need theirs. */
export async function removeLeftovers(directory: string): Promise<void> {
  const names = await fs.readdir(directory).catch((): string[] => []);
  for (const name of names) {
    const pid = Number(LEFTOVER.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || (pid !== process.pid && runs(pid))) continue;
    await fs.rm(path.join(directory, name), { recursive: true, force: true }).catch(() => {});
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** What is in a folder, for a message. */
async function describeFolder(folder: string): Promise<string> {
  const names = await fs.readdir(folder);
  if (names.length === 0) return 'nothing';
  return names.slice(0, 4).join(', ') + (names.length > 4 ? ` and ${names.length - 4} more` : '');
}

async function readManifest(folder: string): Promise<Contents & { files: { [name: string]: FileRecord } }> {
  let text: string;
  try {
    text = await fs.readFile(path.join(folder, MANIFEST), 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw invalid(folder, (error as Error).message, error);
    const there = await describeFolder(folder).catch(() => null);
    throw invalid(
      folder,
      there === null ? 'there is no such folder' : `it has no ${MANIFEST}; found ${there}`,
      error,
    );
  }
  let manifest: Contents | null;
  try {
    manifest = JSON.parse(text) as Contents | null;
  } catch (error) {
    throw invalid(folder, `its ${MANIFEST} (${text.length} characters) is no JSON, or a part of it`, error);
  }
  const { sha256: sum, ...content } = manifest ?? {};
  if (content.format !== FORMAT) {
    throw invalid(
      folder,
      `the format in its ${MANIFEST} must be '${FORMAT}', got ${JSON.stringify(content.format)}`,
    );
  }
  if (content.version !== VERSION) {
    throw invalid(
      folder,
      `it has version ${JSON.stringify(content.version)} of the format, and this package reads version ${VERSION}`,
    );
  }
  const found = sha256(JSON.stringify(content));
  if (found !== sum) {
    throw invalid(
      folder,
      `its ${MANIFEST} was changed: the checksum must be ${JSON.stringify(sum)}, got '${found}'`,
    );
  }
  return content as Contents & { files: { [name: string]: FileRecord } };
}

async function checkFile(folder: string, name: string, expected: FileRecord): Promise<void> {
  const file = path.join(folder, name);
  let handle: FileHandle;
  try {
    handle = await fs.open(file, 'r');
  } catch (error) {
    throw invalid(folder, `its ${name} cannot be opened (${(error as Error).message})`, error);
  }
  try {
    const { size } = await handle.stat();
    if (size !== expected.bytes) {
      throw invalid(folder, `its ${name} must have ${expected.bytes} bytes, got ${size}`);
    }
    const hash = createHash('sha256');
    const buffer = new Uint8Array(READ_AT_ONCE);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
    }
    const found = hash.digest('hex');
    if (found !== expected.sha256) {
      throw invalid(
        folder,
        `its ${name} was changed: the checksum must be '${expected.sha256}', got '${found}'`,
      );
    }
  } finally {
    await handle.close();
  }
}

/**
 * Reads a checkpoint, whose bytes are checked first.
 *
 * @param read gets the manifest, and a function that gives the next bytes of the data.
 * @throws FtpError CHECKPOINT_INVALID, naming the folder and what was found there.
 */
export async function readCheckpoint<T>(
  folder: string,
  read: (manifest: Contents, next: (bytes: number) => Promise<Uint8Array>) => Promise<T>,
): Promise<T> {
  const manifest = await readManifest(folder);
  for (const [name, record] of Object.entries(manifest.files)) await checkFile(folder, name, record);
  const handle = await fs.open(path.join(folder, TENSORS), 'r');
  try {
    return await read(manifest, async (bytes) => {
      const data = new Uint8Array(bytes);
      for (let at = 0; at < bytes; ) {
        const { bytesRead } = await handle.read(data, at, Math.min(bytes - at, READ_AT_ONCE));
        if (bytesRead === 0)
          throw invalid(folder, `its ${TENSORS} ends before the tensors that it must have`);
        at += bytesRead;
      }
      return data;
    });
  } finally {
    await handle.close();
  }
}
