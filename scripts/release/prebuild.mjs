#!/usr/bin/env node
// Builds prebuilds/<platform>-<arch>/tfjs-ftp*.node with prebuildify, from a copy of what the package contains, so that
// build/ stays as it is. Without arguments: for this machine, and for linux-arm64 on linux-x64 where the cross compiler
// is installed.
//
//   --target linux-arm64   this target alone (may be repeated); what it needs and is missing is an error
//   --out FOLDER           where prebuilds/ goes (default: the repository)
//   --test all|digest|none what is run under an emulator after a cross build: the kernels' tests (the default, some
//                          minutes), or only the comparison of their bits; either way the addon is loaded
//
// With CUDA kernels where nvcc is found: TFJS_FTP_CUDA and TFJS_FTP_CUDA_ARCHS as in every build.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run, tail } from '../lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool, nodeHeaders } from '../lib/node_gyp.mjs';
import { reporter, reportFailure, SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { compareKernelBits, loadUnderEmulator } from './cross_test.mjs';
import { CROSS_BUILDS, crossAdvice, crossEnvironment, HOST } from './prebuild_targets.mjs';

const require = createRequire(import.meta.url);
const WORK = path.join(root, 'build-prebuild');
/** What the build reads, all of it part of the package. */
const SOURCES = ['package.json', 'binding.gyp', 'native', 'scripts'];
const TESTS = ['all', 'digest', 'none'];

/** The first of these programs that is missing, or null. */
async function firstMissing(programs) {
  for (const program of programs) {
    if ((await run(program, ['--version'], { timeout: 30_000 })).missing) return program;
  }
  return null;
}

/** Why `target` cannot be built here: {message, advice}, or null. */
async function obstacle(target) {
  if (target === HOST) {
    const missing = await missingBuildTool();
    return missing && { message: `${missing} was not found`, advice: BUILD_TOOLS_ADVICE };
  }
  const cross = CROSS_BUILDS[target];
  if (cross?.host !== HOST) {
    return {
      message: `it cannot be built on ${HOST}`,
      advice: 'Build it on a machine of its own kind.',
    };
  }
  const missing = await firstMissing(['make', `${cross.prefix}g++`, `${cross.prefix}strip`]);
  return missing && { message: `${missing} was not found`, advice: crossAdvice(cross) };
}

/** A fresh copy of the sources, below the repository so that node_modules is found from it. */
function stage(target) {
  const folder = path.join(WORK, target);
  fs.rmSync(folder, { recursive: true, force: true });
  for (const entry of SOURCES)
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true });
  return folder;
}

/** Runs prebuildify; returns the file that it made. */
async function prebuild(target, out) {
  const [platform, arch] = target.split('-');
  const cross = CROSS_BUILDS[target];
  const crossing = target !== HOST;
  const headers = nodeHeaders();
  // Under Windows node-gyp needs node.lib besides, and gets both itself.
  if (headers === null && process.platform !== 'win32') {
    throw new SetupError(
      'the headers of Node were not found beside the node program',
      "Say where they are: npm_config_nodedir=FOLDER, with Node's include/node below it.",
    );
  }
  const folder = path.join(out, 'prebuilds', target);
  fs.rmSync(folder, { recursive: true, force: true });
  const options = [
    ...['--cwd', stage(target), '--out', out, '--platform', platform, '--arch', arch],
    // Node-API: one file for every version of Node; the target only names the headers.
    ...['--napi', '--target', process.versions.node, '--strip'],
    ...(crossing ? ['--strip-bin', `${cross.prefix}strip`] : []),
    // A musl system must not take a glibc file.
    ...(platform === 'linux' ? ['--tag-libc'] : []),
  ];
  const env = {
    JOBS: 'max',
    ...process.env,
    TFJS_FTP_PREBUILD: '1',
    ...(crossing ? crossEnvironment(cross) : {}),
    ...(headers ? { npm_config_nodedir: headers } : {}),
  };
  const bin = path.join(path.dirname(require.resolve('prebuildify/package.json')), 'bin.js');
  const { code, output, stopped } = await run(process.execPath, [bin, ...options], { cwd: root, env });
  if (code !== 0) {
    throw new SetupError(
      `prebuildify failed for ${target}${stopped ? `: ${stopped}` : ''}\n${tail(output, 40)}`,
    );
  }
  const [file] = fs.readdirSync(folder).filter((name) => name.endsWith('.node'));
  return { file: path.join(folder, file), cuda: /^tfjs-ftp: (.*CUDA.*)$/m.exec(output)?.[1] };
}

/** What can be seen of a cross-built addon on this machine, where its emulator is installed. */
async function testCross(target, file, all, say) {
  const cross = CROSS_BUILDS[target];
  const missing = await firstMissing([cross.emulator, 'cmake']);
  if (missing) {
    say(`${target}: NOT TESTED, ${missing} was not found. ${crossAdvice(cross)}`);
    return;
  }
  say(`${target}: ${await loadUnderEmulator(cross, file, WORK)}`);
  say(`${target}: ${await compareKernelBits(cross, WORK, { all })}`);
}

async function chooseTargets(asked, say) {
  const targets = asked ?? [
    HOST,
    ...Object.keys(CROSS_BUILDS).filter((name) => CROSS_BUILDS[name].host === HOST),
  ];
  const possible = [];
  for (const target of targets) {
    const problem = await obstacle(target);
    if (problem === null) possible.push(target);
    else if (asked || target === HOST) throw new SetupError(`${target}: ${problem.message}`, problem.advice);
    else say(`${target}: NOT BUILT, ${problem.message}. ${problem.advice}`);
  }
  return possible;
}

async function main() {
  const { values } = parseArgs({
    options: {
      target: { type: 'string', multiple: true },
      out: { type: 'string', default: root },
      test: { type: 'string', default: 'all' },
    },
  });
  if (!TESTS.includes(values.test)) {
    throw new SetupError(`--test must be ${TESTS.join(', ')}, got ${values.test}`);
  }
  const say = reporter('prebuild');
  for (const target of await chooseTargets(values.target, say)) {
    const start = performance.now();
    say(`${target}: building`);
    const { file, cuda } = await prebuild(target, path.resolve(values.out));
    say(`${target}: ${cuda}`);
    say(`${target}: ${file}, ${fs.statSync(file).size} bytes (${seconds(start)})`);
    if (target !== HOST && values.test !== 'none') await testCross(target, file, values.test === 'all', say);
  }
}

main().catch((error) => {
  reportFailure('prebuild', error);
  process.exitCode = 1;
});
