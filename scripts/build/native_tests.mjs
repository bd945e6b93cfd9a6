// The native tests in build-native/, built for `npm test`; test/native runs them.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run, tail } from '../lib/child.mjs';
import { missingBuildTool } from '../lib/node_gyp.mjs';
import { SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { addonDigest, isSource } from './build_steps.mjs';
import { isFresh, writeRecord } from './freshness.mjs';

const BUILD = 'build-native';

/**
 * Builds the native tests that need no GPU, if a source changed. Without cmake or a compiler it says so and returns
 * false: they are then skipped.
 */
export async function buildNativeTests(say, { force = false } = {}) {
  const record = path.join(root, BUILD, '.tfjs_ftp_tests');
  const digest = addonDigest(isSource);
  if (!force && isFresh(record, digest, [path.join(root, BUILD, 'CTestTestfile.cmake')])) {
    say('native tests: up to date');
    return true;
  }
  const { missing: noCmake } = await run('cmake', ['--version'], { timeout: 30_000 });
  const missing = noCmake ? 'cmake' : await missingBuildTool();
  if (missing) {
    say(`native tests: not built, ${missing} was not found`);
    return false;
  }
  const start = performance.now();
  say(`native tests: building in ${BUILD}/`);
  fs.rmSync(record, { force: true });
  const jobs = String(os.availableParallelism());
  for (const args of [
    ['-S', '.', '-B', BUILD],
    ['--build', BUILD, '--parallel', jobs, '--target', 'host_tests'],
  ]) {
    const { code, output, stopped } = await run('cmake', args, { cwd: root });
    if (code === 0) continue;
    const why = stopped ? `: ${stopped}` : '';
    throw new SetupError(`the native tests could not be built${why}\n${tail(output, 40)}`);
  }
  writeRecord(record, digest);
  say(`native tests: built in ${seconds(start)}`);
  return true;
}
