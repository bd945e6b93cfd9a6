#!/usr/bin/env node
// Builds a program of native/bench/, one of PROGRAMS, and prints its path as the last line. `npm run bench` calls it.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run, tail } from '../lib/child.mjs';
import { reportFailure, SetupError } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';

/** Where cmake-js built the addon: its kernels are linked as they are. Else a build of their own. */
const ADDON_BUILD = path.join(root, 'build');
const OWN_BUILD = path.join(root, 'build-native');

const PROGRAMS = ['kernel_bench', 'cuda_bench', 'cuda_bench_double'];

async function cmake(args) {
  const { code, output, missing } = await run('cmake', args, { cwd: root });
  if (missing) throw new SetupError('cmake was not found', 'Install cmake: sudo apt-get install -y cmake');
  if (code !== 0) throw new SetupError(`cmake ${args.join(' ')} ended with code ${code}\n${tail(output)}`);
}

/** Whether cmake-js has built the addon there from this folder: a copied checkout brings the build of another one along. */
function builtHere() {
  const cache = path.join(ADDON_BUILD, 'CMakeCache.txt');
  if (![cache, path.join(ADDON_BUILD, 'Release/tfjs_ftp.node')].every(fs.existsSync)) return false;
  const source = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(fs.readFileSync(cache, 'utf8'))?.[1] ?? '';
  return fs.existsSync(source) && fs.realpathSync(source) === fs.realpathSync(root);
}

async function main() {
  const [target] = process.argv.slice(2);
  if (!PROGRAMS.includes(target)) {
    throw new SetupError(`the program must be one of ${PROGRAMS.join(', ')}, got ${target}`);
  }
  if (!fs.existsSync(path.join(root, 'CMakeLists.txt'))) {
    throw new SetupError('the native benches are built from a checkout of tfjs-ftp, not from the package');
  }
  const besideAddon = builtHere();
  const build = besideAddon ? ADDON_BUILD : OWN_BUILD;
  if (!besideAddon) {
    await cmake(['-S', '.', '-B', build, '-DCMAKE_BUILD_TYPE=Release', '-DTFJS_FTP_SANITIZE=']);
  }
  const parallel = String(os.availableParallelism());
  await cmake(['--build', build, '--config', 'Release', '--target', target, '--parallel', parallel]);
  const name = process.platform === 'win32' ? `${target}.exe` : target;
  const program = [path.join(build, name), path.join(build, 'Release', name)].find(fs.existsSync);
  if (program === undefined) throw new SetupError(`${build} holds no ${name} after the build`);
  process.stdout.write(`${program}\n`);
}

main().catch((error) => {
  reportFailure('native bench', error);
  process.exitCode = 1;
});
