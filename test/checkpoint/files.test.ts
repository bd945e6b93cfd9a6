// Checkpoints as folders: whole or not at all, whatever call to the file system is the last; and what is no checkpoint.
import fs from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it, test, vi } from 'vitest';
import { Checkpointer, resume } from '../../src/checkpoint/index.js';
import { FtpError } from '../../src/index.js';
import { temporaryFolder } from '../package/support.js';
import { tf } from './support.js';

beforeAll(() => tf.setBackend('cpu'));
afterEach(() => vi.restoreAllMocks());

const variable = (value: number) => tf.variable(tf.fill([3, 2], value));

/** The value and the step of the newest checkpoint, read by a new object. */
async function newest(directory: string): Promise<{ value: number; step: number }> {
  const read = variable(-1);
  const { step } = await resume(directory, { variables: [read] });
  return { value: read.dataSync()[0] as number, step };
}

const CALLS = ['open', 'mkdir', 'rename', 'rm', 'readdir'] as const;
const HANDLE_CALLS = ['write', 'writeFile', 'sync', 'close'] as const;

/** The file system as it is for a process that is killed before call `last` is made: nothing happens from there on. */
function dieBefore(last: number): { calls: string[] } {
  const calls: string[] = [];
  const killed = () => Promise.reject(new Error('killed'));
  const guard = (name: string, call: (...args: never[]) => unknown, onDeath?: () => Promise<unknown>) => {
    return (...args: never[]) => {
      calls.push(name);
      if (calls.length < last) return call(...args);
      // A write may be cut in its middle.
      return calls.length === last && onDeath !== undefined ? onDeath().then(killed) : killed();
    };
  };
  for (const name of CALLS) {
    const real = promises[name].bind(promises) as (...args: never[]) => Promise<unknown>;
    vi.spyOn(promises, name).mockImplementation(
      guard(name, async (...args: never[]) => {
        const result = await real(...args);
        if (name !== 'open') return result;
        const handle = result as FileHandle & { [name: string]: unknown };
        for (const method of HANDLE_CALLS) {
          const inner = (handle[method] as (...args: never[]) => unknown).bind(handle);
          const half =
            method === 'write' || method === 'writeFile'
              ? () => (inner as unknown as FileHandle['write'])('half' as never).catch(() => {})
              : undefined;
          handle[method] = guard(`handle.${method}`, inner, half) as never;
        }
        return handle;
      }) as never,
    );
  }
  return { calls };
}

test('a checkpoint that another process removes first is no error', async () => {
  const directory = temporaryFolder();
  const saved = variable(1);
  const checkpoints = new Checkpointer(directory, { variables: [saved], keep: 1 });
  const first = await checkpoints.save(1);
  const real = promises.rename.bind(promises);
  vi.spyOn(promises, 'rename').mockImplementation(async (from, to) => {
    if (from === first) await promises.rm(first, { recursive: true });
    return real(from, to);
  });
  saved.assign(tf.fill([3, 2], 2));
  const second = await checkpoints.save(2);
  expect(fs.readdirSync(directory)).toEqual([path.basename(second)]);
  expect(await newest(directory)).toEqual({ value: 2, step: 2 });
});

test('a process that dies before any call leaves the old or the new checkpoint whole', async () => {
  const outcomes: number[] = [];
  let names: string[] = [];
  for (let last = 1; ; ++last) {
    const directory = temporaryFolder();
    const saved = variable(1);
    const checkpoints = new Checkpointer(directory, { variables: [saved], keep: 1 });
    await checkpoints.save(1);
    saved.assign(tf.fill([3, 2], 2));
    const { calls } = dieBefore(last);
    const error = await checkpoints.save(2).then(
      () => null,
      (reason: Error) => reason,
    );
    vi.restoreAllMocks();
    names = calls;
    const { value, step } = await newest(directory);
    expect(value).toBe(step);
    outcomes.push(step);
    // The next process removes what is left and goes on.
    const next = new Checkpointer(directory, { variables: [saved], keep: 1 });
    await next.save(3);
    expect(fs.readdirSync(directory)).toEqual([expect.stringMatching(/^\d{6}-step-3$/)]);
    if (error === null) break;
    expect(error.message).toMatch(/killed/);
  }
  expect(names).toEqual(expect.arrayContaining(['open', 'handle.write', 'handle.sync', 'rename', 'rm']));
  expect(outcomes.length).toBeGreaterThan(20);
  expect(outcomes[0]).toBe(1);
  // Once the new one is there, it stays.
  expect([...outcomes].sort()).toEqual(outcomes);
});

test('bytes and names are synced before a checkpoint has its name', async () => {
  const directory = temporaryFolder();
  const checkpoints = new Checkpointer(directory, { variables: [variable(1)] });
  await checkpoints.save(1);
  const { calls } = dieBefore(Number.POSITIVE_INFINITY);
  await checkpoints.save(2);
  const order = calls.filter((name) =>
    ['open', 'handle.write', 'handle.writeFile', 'handle.sync', 'rename'].includes(name),
  );
  const folder = process.platform === 'win32' ? [] : ['open', 'handle.sync'];
  expect(order).toEqual([
    ...['open', 'handle.write', 'handle.sync'],
    ...['open', 'handle.writeFile', 'handle.sync'],
    ...folder,
    'rename',
    ...folder,
  ]);
});

test('keep leaves the newest, and null all', async () => {
  const directory = temporaryFolder();
  const names = () => fs.readdirSync(directory).sort();
  for (const [keep, expected] of [
    [2, ['000002-step-20', '000003-step-30']],
    [1, ['000006-step-30']],
    [null, ['000006-step-30', '000007-step-10', '000008-step-20', '000009-step-30']],
  ] as const) {
    const checkpoints = new Checkpointer(directory, { variables: [variable(1)], keep });
    for (const step of [10, 20, 30]) await checkpoints.save(step);
    expect(names()).toEqual(expected);
    expect((await checkpoints.list()).map(({ path: folder }) => path.basename(folder))).toEqual(expected);
  }
});

test('the newest is the one that was saved last, and not the one with the most steps', async () => {
  const directory = path.join(temporaryFolder(), 'made', 'on', 'the', 'way');
  const saved = variable(5);
  const checkpoints = new Checkpointer(directory, { variables: [saved] });
  await checkpoints.save(5);
  saved.assign(tf.fill([3, 2], 3));
  await checkpoints.save(3); // back in time
  expect(await newest(directory)).toEqual({ value: 3, step: 3 });
});

test('a process that runs keeps what it is writing', async () => {
  const directory = temporaryFolder();
  const other = `.writing-${process.ppid}-1-x`;
  for (const name of [other, `.writing-${process.pid}-1-x`, '.writing-999999999-1-x', 'mine']) {
    fs.mkdirSync(path.join(directory, name));
  }
  await new Checkpointer(directory, { variables: [variable(1)] }).save(1);
  expect(fs.readdirSync(directory).sort()).toEqual([other, '000001-step-1', 'mine']);
});

describe('what is no checkpoint', () => {
  async function saved() {
    const directory = temporaryFolder();
    const checkpoints = new Checkpointer(directory, { variables: [variable(1)] });
    await checkpoints.save(1);
    const folder = await checkpoints.save(2);
    return { directory, folder, file: (name: string) => path.join(folder, name) };
  }
  type Saved = Awaited<ReturnType<typeof saved>>;
  const edit = (file: string, change: (text: string) => string) =>
    fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));

  it.each<[string, (saved: Saved) => void, RegExp]>([
    [
      'no manifest',
      ({ file }) => fs.rmSync(file('manifest.json')),
      /it has no manifest\.json; found tensors\.bin/,
    ],
    [
      'half a manifest',
      ({ file }) => edit(file('manifest.json'), (text) => text.slice(0, 99)),
      /its manifest\.json \(99 characters\) is no JSON/,
    ],
    [
      'a changed manifest',
      ({ file }) => edit(file('manifest.json'), (text) => text.replace('"step":2', '"step":3')),
      /manifest\.json was changed: the checksum must be "[0-9a-f]{64}", got '/,
    ],
    [
      'a manifest of something else',
      ({ file }) => edit(file('manifest.json'), () => '{"format": "layers-model"}'),
      /must be 'tfjs-ftp-checkpoint', got "layers-model"/,
    ],
    [
      'null',
      ({ file }) => edit(file('manifest.json'), () => 'null'),
      /must be 'tfjs-ftp-checkpoint', got undefined/,
    ],
    [
      'a later version',
      ({ file }) => edit(file('manifest.json'), (text) => text.replace('"version":1', '"version":2')),
      /has version 2 of the format, and this package reads version 1/,
    ],
    [
      'half the tensors',
      ({ file }) => fs.truncateSync(file('tensors.bin'), 10),
      /its tensors\.bin must have 24 bytes, got 10/,
    ],
    ['no tensors', ({ file }) => fs.rmSync(file('tensors.bin')), /its tensors\.bin cannot be opened/],
    [
      'other tensors',
      ({ file }) => fs.writeFileSync(file('tensors.bin'), Buffer.alloc(24, 7)),
      /its tensors\.bin was changed: the checksum/,
    ],
    [
      'an empty folder',
      ({ folder }) => {
        fs.rmSync(folder, { recursive: true });
        fs.mkdirSync(folder);
      },
      /it has no manifest\.json; found nothing/,
    ],
    [
      'a file',
      ({ folder }) => {
        fs.rmSync(folder, { recursive: true });
        fs.writeFileSync(folder, '');
      },
      /ENOTDIR/,
    ],
  ])(
    '%s: an error with the folder, what was found and the one before; weights stay',
    async (_, spoil, message) => {
      const all = await saved();
      spoil(all);
      const read = variable(9);
      const error = await resume(all.directory, { variables: [read] }).catch((reason: FtpError) => reason);
      expect(error).toBeInstanceOf(FtpError);
      const { code, message: text } = error as FtpError;
      expect(code).toBe('CHECKPOINT_INVALID');
      expect(text).toMatch(message);
      expect(text).toContain(`${all.folder} is not a checkpoint that can be read: `);
      const before = path.join(all.directory, '000001-step-1');
      expect(text).toContain(`The one before is ${before}`);
      expect(read.dataSync()[0]).toBe(9);
      expect(await resume(all.directory, { variables: [read] }, { from: before })).toMatchObject({
        step: 1,
        path: before,
      });
    },
  );

  it('a directory that is not there or has none: the start', async () => {
    const start = { step: 0, epoch: 0, batch: 0, finished: false, path: null };
    const directory = temporaryFolder();
    for (const place of [directory, path.join(directory, 'none')]) {
      expect(await resume(place, { variables: [variable(1)] })).toEqual(start);
    }
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('a directory that is a file, and a folder that is not there', async () => {
    const file = path.join(temporaryFolder(), 'file');
    fs.writeFileSync(file, '');
    const checkpoints = new Checkpointer(file, { variables: [variable(1)] });
    await expect(checkpoints.resume()).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
    await expect(checkpoints.save(1)).rejects.toMatchObject({
      code: 'CHECKPOINT_FAILED',
      message: expect.stringContaining(`cannot write a checkpoint of step 1 to ${file}: `),
    });
    await expect(checkpoints.resume({ from: `${file}s` })).rejects.toThrow(/there is no such folder/);
  });
});

test('a checkpoint that cannot be written leaves those before, and nothing half written', async () => {
  const directory = temporaryFolder();
  const checkpoints = new Checkpointer(directory, { variables: [variable(1)], keep: 1 });
  await checkpoints.save(1);
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  });
  vi.spyOn(promises, 'rename').mockRejectedValueOnce(full);
  await expect(checkpoints.save(2)).rejects.toMatchObject({ code: 'CHECKPOINT_FAILED', cause: full });
  expect(fs.readdirSync(directory)).toEqual(['000001-step-1']);
  await checkpoints.save(2);
  expect(fs.readdirSync(directory)).toEqual(['000002-step-2']);
});
