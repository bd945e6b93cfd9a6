#!/usr/bin/env node
// Builds the native tests with AddressSanitizer and with UndefinedBehaviorSanitizer (build-asan/, build-ubsan/) and
// runs them. `npm run sanitize -- undefined` runs one of them; `thread` is there too.
import os from 'node:os';
import { run } from '../lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool } from '../lib/node_gyp.mjs';
import { reporter, reportFailure, SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';

const FOLDERS = { address: 'build-asan', undefined: 'build-ubsan', thread: 'build-tsan' };

/** Any finding ends the test program with an error, leaks included. */
const SANITIZER_OPTIONS = {
  ASAN_OPTIONS: 'halt_on_error=1:detect_leaks=1:strict_string_checks=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1',
};

async function command(program, args) {
  const { code, missing } = await run(program, args, {
    cwd: root,
    env: { ...process.env, ...SANITIZER_OPTIONS },
    inherit: true,
    timeout: 60 * 60_000,
  });
  if (missing)
    throw new SetupError(`${program} was not found`, 'Install cmake: sudo apt-get install -y cmake');
  if (code !== 0) throw new SetupError(`${program} ${args.join(' ')} ended with code ${code}`);
}

async function sanitize(sanitizer, say) {
  const start = performance.now();
  const build = FOLDERS[sanitizer];
  say(`${sanitizer}: building the native tests in ${build}/`);
  // Optimised a little, for speed; with the asserts that a release leaves out.
  const optimisation = ['-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_CXX_FLAGS_DEBUG=-O1'];
  // The emulated CUDA device runs one kernel at a time, in one thread: nothing for ThreadSanitizer to find.
  const cuda = sanitizer === 'thread' ? ['-DTFJS_FTP_CUDA=OFF'] : [];
  const options = [`-DTFJS_FTP_SANITIZE=${sanitizer}`, '-DTFJS_FTP_WERROR=ON', ...cuda, ...optimisation];
  await command('cmake', ['-S', '.', '-B', build, ...options]);
  await command('cmake', [
    '--build',
    build,
    '--parallel',
    String(os.availableParallelism()),
    '--target',
    'host_tests',
  ]);
  say(`${sanitizer}: running them`);
  await command('ctest', [
    '--test-dir',
    build,
    '--output-on-failure',
    '--no-tests=error',
    '--label-exclude',
    'gpu',
  ]);
  say(`${sanitizer}: passed (${seconds(start)})`);
}

async function main() {
  const chosen = process.argv.length > 2 ? process.argv.slice(2) : ['address', 'undefined'];
  const unknown = chosen.find((name) => !Object.hasOwn(FOLDERS, name));
  if (unknown)
    throw new SetupError(`sanitizer must be one of ${Object.keys(FOLDERS).join(', ')}, got ${unknown}`);
  const missing = await missingBuildTool();
  if (missing) throw new SetupError(`${missing} was not found`, BUILD_TOOLS_ADVICE);
  for (const sanitizer of chosen) await sanitize(sanitizer, reporter('sanitize'));
}

main().catch((error) => {
  reportFailure('sanitize', error);
  process.exitCode = 1;
});
