// The installed @tensorflow/tfjs-node (or -gpu) package: where it is, whether it runs, one set-up at a time in it.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onExit, run, tail } from '../lib/child.mjs';
import { SetupError } from '../lib/report.mjs';

const verifyScript = fileURLToPath(new URL('./verify_tensorflow.cjs', import.meta.url));

/** Names of what a set-up puts into the package; all begin alike, so that leftovers are recognised. */
const STAMP = '.tfjs_ftp_verified.json';
const LOCK = '.tfjs_ftp_lock';
const STAGE_PREFIX = '.tfjs_ftp_stage_';

/**
 * Finds the package as code in `from` would.
 * @param {'@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu'} name
 * @param {string[]} from folders to resolve from, in order
 * @returns {{name: string, directory: string, version: string} | null}
 */
export function findPackage(name, from) {
  for (const folder of from) {
    try {
      const manifest = createRequire(path.join(folder, 'package.json')).resolve(`${name}/package.json`);
      const { version } = JSON.parse(fs.readFileSync(manifest, 'utf8'));
      return { name, directory: path.dirname(fs.realpathSync(manifest)), version };
    } catch {
      // Not there; the next folder.
    }
  }
  return null;
}

/** The newest binding file in the package, or null. */
export function findBinding(directory) {
  const lib = path.join(directory, 'lib');
  if (!fs.existsSync(lib)) return null;
  const versions = fs
    .readdirSync(lib)
    .map((entry) => Number(/^napi-v(\d+)$/.exec(entry)?.[1] ?? Number.NaN))
    .filter((version) => version <= Number(process.versions.napi))
    .sort((a, b) => b - a);
  for (const version of versions) {
    const file = path.join(lib, `napi-v${version}`, 'tfjs_binding.node');
    if (fs.existsSync(file)) return file;
  }
  return null;
}

/** Identifies the binding, the libraries beside it and the Node that was used: a change voids the stamp. */
function fingerprint(directory) {
  const files = [findBinding(directory)];
  const lib = path.join(directory, 'deps', 'lib');
  if (fs.existsSync(lib)) files.push(...fs.readdirSync(lib).map((entry) => path.join(lib, entry)));
  const describe = (file) => {
    const { size, mtimeMs } = fs.statSync(file);
    return [path.relative(directory, file), size, Math.round(mtimeMs)];
  };
  return {
    node: process.versions.node,
    architecture: `${process.platform}-${process.arch}`,
    files: files.filter(Boolean).sort().map(describe),
  };
}

/** What an earlier set-up verified, if nothing has changed since: {tensorflow, source}, else null. */
export function readStamp(directory) {
  try {
    const stamp = JSON.parse(fs.readFileSync(path.join(directory, 'deps', STAMP), 'utf8'));
    if (!findBinding(directory)) return null;
    return JSON.stringify(stamp.fingerprint) === JSON.stringify(fingerprint(directory)) ? stamp : null;
  } catch {
    return null;
  }
}

/** Records that the package runs, for a quick answer next time. A read-only package goes without. */
export function writeStamp(directory, tensorflow, source) {
  try {
    fs.mkdirSync(path.join(directory, 'deps'), { recursive: true });
    const stamp = { tensorflow, source, fingerprint: fingerprint(directory) };
    fs.writeFileSync(path.join(directory, 'deps', STAMP), `${JSON.stringify(stamp, null, 1)}\n`);
  } catch {
    // Only a cache.
  }
}

/**
 * Loads the package in a child process and runs an op.
 * @param {string} directory
 * @param {{worker?: boolean}} [options] worker: in a worker thread too
 * @returns {Promise<{ok: true, version: string, milliseconds: number} | {ok: false, reason: string}>}
 */
export async function verify(directory, { worker = false } = {}) {
  const args = [verifyScript, directory, ...(worker ? ['--worker'] : [])];
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env };
  const { code, output, stdout, stopped } = await run(process.execPath, args, { env, timeout: 300_000 });
  if (code === 0) {
    const line = stdout
      .split('\n')
      .reverse()
      .find((candidate) => candidate.startsWith('{"version"'));
    if (line) return { ok: true, ...JSON.parse(line) };
  }
  const reason = output.split('\n').find((line) => /^\w*Error: /.test(line)) ?? tail(output, 6).trim();
  return { ok: false, reason: stopped ?? (reason || `ended with code ${code} and without a message`) };
}

/**
 * Holds the package for one set-up, and waits while another has it. Removes what killed set-ups left behind.
 * @param {string} directory
 * @param {(line: string) => void} say
 * @returns {Promise<() => void>} releases it
 */
export async function lockPackage(directory, say, { patience = 20 * 60_000, interval = 500 } = {}) {
  const file = path.join(directory, LOCK);
  const mine = JSON.stringify({ pid: process.pid, host: os.hostname() });
  const start = Date.now();
  let waiting = false;
  for (;;) {
    try {
      fs.writeFileSync(file, mine, { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') {
        throw new SetupError(
          `cannot write into ${directory}: ${error.message}`,
          'Run the set-up as the user who owns node_modules.',
        );
      }
    }
    const holder = lockHolder(file);
    if (holder === 'gone') {
      fs.rmSync(file, { force: true });
      continue;
    }
    if (Date.now() - start > patience) {
      throw new SetupError(
        `another set-up (process ${holder}) has held ${file} for ${Math.round(patience / 60_000)} minutes`,
        'End that process, or delete the file if no set-up is running.',
      );
    }
    if (!waiting) say(`another set-up (process ${holder}) is at work in ${directory}: waiting for it`);
    waiting = true;
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
  const release = onExit(() => fs.rmSync(file, { force: true }));
  for (const entry of fs.readdirSync(directory)) {
    if (entry.startsWith(STAGE_PREFIX))
      fs.rmSync(path.join(directory, entry), { recursive: true, force: true });
  }
  return release;
}

/** The process that holds a lock file, or 'gone'. */
function lockHolder(file) {
  let holder;
  try {
    holder = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return 'gone';
    // Being written this moment, or cut off: give its writer a moment by age.
    const age = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    return age > 5000 ? 'gone' : 'unknown';
  }
  if (holder.host !== os.hostname()) return `${holder.pid} on ${holder.host}`;
  try {
    process.kill(holder.pid, 0);
    return String(holder.pid);
  } catch (error) {
    return error.code === 'EPERM' ? String(holder.pid) : 'gone';
  }
}

/**
 * A copy of the package without libraries and binding, inside the package, where a new pair of them is prepared.
 * @returns {{directory: string, remove: () => void}}
 */
export function createStage(packageDirectory) {
  const directory = fs.mkdtempSync(path.join(packageDirectory, STAGE_PREFIX));
  // Retries: a child that was just killed may be writing its last.
  const remove = onExit(() => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  const left = new Set(['deps', 'lib', 'build', 'build-tmp-napi-v8', 'node_modules', LOCK]);
  for (const entry of fs.readdirSync(packageDirectory)) {
    if (left.has(entry) || entry.startsWith(STAGE_PREFIX)) continue;
    fs.cpSync(path.join(packageDirectory, entry), path.join(directory, entry), { recursive: true });
  }
  fs.mkdirSync(path.join(directory, 'tmp'));
  return { directory, remove };
}

/** Moves deps/ and lib/ of a stage into the package; what was there goes back if a move fails. */
export function moveIntoPlace(stage, packageDirectory) {
  const moved = [];
  try {
    for (const name of ['deps', 'lib']) {
      const target = path.join(packageDirectory, name);
      const old = path.join(stage, `old_${name}`);
      if (fs.existsSync(target)) fs.renameSync(target, old);
      moved.push({ target, old });
      fs.renameSync(path.join(stage, name), target);
    }
  } catch (error) {
    for (const { target, old } of moved.reverse()) {
      if (!fs.existsSync(old)) continue;
      fs.rmSync(target, { recursive: true, force: true });
      fs.renameSync(old, target);
    }
    throw new SetupError(`cannot replace deps/ and lib/ in ${packageDirectory}: ${error.message}`);
  }
}
