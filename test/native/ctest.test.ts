/**
 * The native tests (CTest), each as a test of its own. Built by `npm test`; what needs a GPU, or CUDA's headers where nvcc
 * is missing, is a named skip.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeOrSkip } from '../backends/skip.js';
import { root, start } from '../package/support.js';

const BUILD = path.join(root, 'build-native');

interface NativeTest {
  name: string;
  properties?: Array<{ name: string; value: unknown }>;
}

/** The tests of the build, or why there are none. */
function listTests(): NativeTest[] | string {
  if (!fs.existsSync(path.join(BUILD, '.tfjs_ftp_tests'))) {
    return 'not built: node scripts/build/setup.mjs --only native-tests';
  }
  const { status, stdout, stderr } = spawnSync('ctest', ['--show-only=json-v1'], { cwd: BUILD });
  if (status !== 0) throw new Error(`ctest cannot list the native tests: ${stderr}`);
  const { tests } = JSON.parse(stdout.toString()) as { tests: NativeTest[] };
  return tests;
}

/** Why a test cannot run here; null: it can. */
function whyNot({ properties = [] }: NativeTest): string | null {
  const property = (name: string) => properties.find((one) => one.name === name)?.value;
  if (property('DISABLED') === true) return 'built without nvcc';
  const labels = property('LABELS');
  return Array.isArray(labels) && labels.includes('gpu')
    ? 'needs a GPU: scripts/check/verify_on_gpu.sh'
    : null;
}

const tests = listTests();

describeOrSkip(
  'native tests',
  typeof tests === 'string' ? tests : null,
  () => {
    it('are there', () => expect(tests.length).toBeGreaterThanOrEqual(3));

    describe.concurrent('by name', () => {
      for (const test of tests as NativeTest[]) {
        const reason = whyNot(test);
        if (reason !== null) {
          it.skip(`${test.name} (skipped: ${reason})`, () => {});
          continue;
        }
        it(test.name, { timeout: 10 * 60_000 }, async ({ expect }) => {
          const args = ['--output-on-failure', '--no-tests=error', '--tests-regex', `^${test.name}$`];
          const { code, stdout } = await start('ctest', args, { cwd: BUILD }).outcome;
          expect(code, stdout).toBe(0);
        });
      }
    });
  },
  { mayBeMissing: true },
);
