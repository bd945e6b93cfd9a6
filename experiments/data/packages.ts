/**
 * Data that npm's registry serves, fetched when an experiment needs them: a plain `npm ci` stays small. Versions are fixed, and so
 * is the SHA-512 of what npm checks and unpacks.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A package of data. */
export interface DataPackage {
  name: string;
  version: string;
  /** As the registry gives it: `sha512-` and base64. */
  integrity: string;
  licence: string;
  /** Whose work it is, and where it comes from. */
  origin: string;
}

/** Data that could not be had. What needs them is left out by name. */
export class MissingData extends Error {}

/** How long npm may take, in milliseconds. */
const PATIENCE = 300_000;
/** Nothing but the package: no scripts, no peers, no word. */
const FLAGS = ['--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund', '--no-save', '--silent'];

/** Runs npm, and gives its output; replaced in tests. */
export type Npm = (args: string[], cwd: string) => Promise<string>;

const runNpm: Npm = async (args, cwd) => {
  // Under `npm run` this is the same npm, with its configuration; npm.cmd of Windows could not be run as a file.
  const script = process.env.npm_execpath;
  const [file, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []];
  const { stdout } = await promisify(execFile)(file, [...first, ...args], { cwd, timeout: PATIENCE });
  return stdout;
};

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * The folder of a package's files, fetched if it is not in the cache.
 *
 * @param cache folder of all packages.
 * @throws MissingData saying why, where it can be neither found nor fetched, or is not what was expected.
 */
export async function packageFolder(
  { name, version, integrity }: DataPackage,
  cache: string,
  npm: Npm = runNpm,
): Promise<string> {
  const folder = join(cache, `${name.replace('/', '+')}@${version}`);
  if (await exists(folder)) return folder;
  await mkdir(cache, { recursive: true });
  // Beside its place, so that it is moved there whole: two processes may fetch at once, and one may be killed.
  const work = await mkdtemp(join(cache, '.fetching-'));
  try {
    await npm(['install', `${name}@${version}`, '--prefix', work, ...FLAGS], cache);
    const lock = await readFile(join(work, 'node_modules', '.package-lock.json'), 'utf8');
    const { packages } = JSON.parse(lock) as { packages: Record<string, { integrity?: string }> };
    const found = packages[`node_modules/${name}`]?.integrity;
    if (found !== integrity) throw new Error(`its ${found} is not the ${integrity} that was expected`);
    const unpacked = join(work, 'node_modules', name);
    await rename(unpacked, folder).catch(async (error) => {
      if (!(await exists(folder))) throw error; // else another process was first
    });
    return folder;
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    const reason = (stderr?.trim() || message).split('\n')[0];
    throw new MissingData(`${name}@${version} could not be fetched: ${reason}`, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
