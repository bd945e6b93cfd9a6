// A tarball as `npm publish` would make it, with a fresh prebuild, and projects that install it without a compiler.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Outcome, root, runNode, start } from '../package/support.js';

export const HOST = `${process.platform}-${process.arch}`;

/** Programs that a build would call; none may be there when the tarball is installed. */
export const BUILD_PROGRAMS =
  'cc c++ gcc g++ clang clang++ make cmake ninja python python3 nvcc node-gyp'.split(' ');

/** What npm and packages' commands call besides node. */
const OTHER_PROGRAMS = ['sh', 'env'];

/** npm's own script, run with our node: its launcher would look for one on the PATH. */
export const npmScript = findNpm();

function findNpm(): string | null {
  const offered = process.env.npm_execpath;
  if (offered?.endsWith('npm-cli.js') && fs.existsSync(offered)) return offered;
  const beside = path.join(
    path.dirname(fs.realpathSync(process.execPath)),
    '..',
    'lib',
    'node_modules',
    'npm',
  );
  const script = path.join(beside, 'bin', 'npm-cli.js');
  return fs.existsSync(script) ? script : null;
}

/** How npm reaches its registry and where it keeps things: true of this machine, not of this repository. */
const MACHINE_SETTINGS =
  /^npm_config_(registry|ca|cafile|proxy|https_proxy|userconfig|globalconfig|cache|nodedir)$/i;

/** The environment of somebody who is in no npm script: settings of this repository's run are left out. */
function cleanEnvironment(): Record<string, string | undefined> {
  const ours = Object.keys(process.env).filter(
    (name) => /^(npm_|TFJS_FTP_|NODE_OPTIONS$|INIT_CWD$)/i.test(name) && !MACHINE_SETTINGS.test(name),
  );
  return Object.fromEntries(ours.map((name) => [name, undefined]));
}

export function npm(
  args: string[],
  cwd: string,
  env: Record<string, string | undefined> = {},
): Promise<Outcome> {
  return runNode([npmScript as string, ...args], { cwd, env: { ...cleanEnvironment(), ...env } });
}

/** Why the registry cannot be asked, or null. Answers fast where it cannot be reached. */
export async function registryProblem(folder: string, name: string): Promise<string | null> {
  const once = ['--fetch-retries=0', '--fetch-timeout=20000'];
  const { code, stderr } = await npm(['view', name, 'version', ...once], folder);
  const reason = stderr.split('\n').find((line) => /error/i.test(line)) ?? `npm view ended with code ${code}`;
  return code === 0 ? null : `the npm registry does not answer: ${reason}`;
}

/** What came of building a prebuild. */
export interface Prebuilt extends Outcome {
  file: string;
  /** Whether CUDA kernels must be part of it. */
  cuda: boolean;
}

/** Builds prebuilds/ for some target into `out`; for one CUDA architecture, to be quick. */
export async function buildPrebuild(out: string, target: string, args: string[] = []): Promise<Prebuilt> {
  const env = { TFJS_FTP_CUDA_ARCHS: '90' };
  const outcome = await runNode(['scripts/release/prebuild.mjs', '--target', target, '--out', out, ...args], {
    env,
  });
  const folder = path.join(out, 'prebuilds', target);
  const [file = ''] = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return { ...outcome, file: path.join(folder, file), cuda: /: CUDA \d/.test(outcome.stdout) };
}

/**
 * The prebuild that is to be packed, in `folder`: a fresh one, or with TFJS_FTP_PREBUILDS those of the folder that it names
 * (a release's, made elsewhere).
 */
export async function obtainPrebuild(folder: string): Promise<Prebuilt> {
  const given = process.env.TFJS_FTP_PREBUILDS;
  if (!given) return buildPrebuild(folder, HOST);
  fs.cpSync(path.join(given, 'prebuilds'), path.join(folder, 'prebuilds'), { recursive: true });
  const [file = ''] = fs.readdirSync(path.join(folder, 'prebuilds', HOST));
  return {
    ...{ code: 0, signal: null, stdout: '', stderr: '' },
    file: path.join(folder, 'prebuilds', HOST, file),
    // Where releases have CUDA kernels.
    cuda: HOST === 'linux-x64',
  };
}

/** Packs the package with the prebuilds in `folder`; what is not part of it is left behind first. Returns the tarball. */
export async function packTarball(folder: string): Promise<{ tarball: string; files: string[] }> {
  const { files } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    files: string[];
  };
  const entries = files.filter((entry) => !entry.startsWith('!') && entry !== 'prebuilds');
  for (const entry of ['package.json', 'README.md', 'LICENSE', ...entries]) {
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true });
  }
  const packed = await npm(['pack', '--json', '--ignore-scripts'], folder);
  if (packed.code !== 0) throw new Error(`npm pack: ${packed.stderr}`);
  const [info] = JSON.parse(packed.stdout) as [{ filename: string; files: Array<{ path: string }> }];
  return { tarball: path.join(folder, info.filename), files: info.files.map((file) => file.path) };
}

/** A folder that holds node and the little else that npm calls: alone on the PATH, there is no way to compile. */
export function compilerlessPath(folder: string): string {
  fs.mkdirSync(folder, { recursive: true });
  fs.symlinkSync(process.execPath, path.join(folder, 'node'));
  for (const program of OTHER_PROGRAMS) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' });
    fs.symlinkSync(stdout.trim(), path.join(folder, program));
  }
  return folder;
}

/** Runs a script in a project under a PATH. */
export function runIn(project: string, PATH: string, command: string, args: string[]): Promise<Outcome> {
  return start(command, args, {
    cwd: project,
    env: { ...cleanEnvironment(), PATH, CXX: undefined, CC: undefined },
  }).outcome;
}
