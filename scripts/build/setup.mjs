#!/usr/bin/env node
// Brings a fresh clone to where the demo, the tests and the benchmarks run; `npm run demo`, `npm test` and
// `npm run bench` start with it. What is up to date is left alone, so a second run takes a moment. It never asks.
//
//   --only addon|typescript|tensorflow   one step (may be repeated)
//   --only emulation                     not done unless named: an addon for tests, its CUDA device emulated on the host
//   --only native-tests                  not done unless named: the native tests that need no GPU
//   --force                              do the steps even if they are up to date
import { parseArgs } from 'node:util';
import { cudaSetting } from '../install/nvcc.mjs';
import { reporter, reportFailure, SetupError } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { setupTensorflow } from '../tensorflow/setup_tensorflow.mjs';
import { buildAddon, buildEmulatedAddon, buildTypeScript, checkDependencies } from './build_steps.mjs';
import { buildNativeTests } from './native_tests.mjs';

const PREFIX = 'setup';
const STEPS = ['addon', 'typescript', 'tensorflow'];
const NAMED_STEPS = ['emulation', 'native-tests'];

/** Without TensorFlow its tests are skipped by name, unless the environment says that it must be there. */
async function tensorflowStep(say, { force }) {
  try {
    await setupTensorflow({ project: root, force, prefix: `${PREFIX}: tensorflow` });
  } catch (error) {
    if (process.env.TFJS_FTP_REQUIRE_TENSORFLOW === '1' || !(error instanceof SetupError)) throw error;
    say(`tensorflow: ${error.message}`);
    for (const line of (error.advice ?? '').split('\n').filter(Boolean)) say(`  ${line}`);
    say(
      'tensorflow: going on without it; what needs it is skipped (TFJS_FTP_REQUIRE_TENSORFLOW=1 makes this an error)',
    );
  }
}

async function main() {
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true }, force: { type: 'boolean' } },
  });
  const steps = values.only ?? STEPS;
  const known = [...STEPS, ...NAMED_STEPS];
  const unknown = steps.find((step) => !known.includes(step));
  if (unknown) throw new SetupError(`--only must be one of ${known.join(', ')}, got ${unknown}`);
  const say = reporter(PREFIX);
  const options = { force: values.force ?? false };
  cudaSetting(process.env);
  checkDependencies();
  if (steps.includes('addon')) await buildAddon(say, options);
  if (steps.includes('typescript')) await buildTypeScript(say, options);
  if (steps.includes('emulation')) await buildEmulatedAddon(say, options);
  if (steps.includes('native-tests')) await buildNativeTests(say, options);
  if (steps.includes('tensorflow')) await tensorflowStep(say, options);
}

main().catch((error) => {
  reportFailure(PREFIX, error);
  process.exitCode = 1;
});
