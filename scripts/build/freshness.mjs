// Is a build newer than what it was made from? Answered from names, sizes and times of the inputs, recorded at the end
// of a good build: an added, removed or changed file, and a checkout of another commit, all void the record.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** Files below `entry` (a file or a folder, relative to `root`) that `accept` takes, sorted. */
export function listFiles(root, entry, accept = () => true) {
  const absolute = path.join(root, entry);
  const stat = fs.statSync(absolute, { throwIfNoEntry: false });
  if (!stat) return [];
  if (stat.isFile()) return accept(entry) ? [entry] : [];
  return fs
    .readdirSync(absolute)
    .sort()
    .filter((name) => name !== 'node_modules')
    .flatMap((name) => listFiles(root, path.join(entry, name), accept));
}

/** One line that changes with the inputs, the Node that builds, and `extra`. */
export function inputsDigest(root, inputs, extra = '') {
  const hash = crypto
    .createHash('sha256')
    .update(`${process.version} ${process.platform}-${process.arch} ${extra}\n`);
  for (const file of inputs) {
    const { size, mtimeMs } = fs.statSync(path.join(root, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** True if `record` holds `digest` and every output is there. */
export function isFresh(record, digest, outputs) {
  if (!outputs.every((output) => fs.existsSync(output))) return false;
  try {
    return fs.readFileSync(record, 'utf8') === digest;
  } catch {
    return false;
  }
}

export function writeRecord(record, digest) {
  fs.mkdirSync(path.dirname(record), { recursive: true });
  fs.writeFileSync(record, digest);
}
