/** Without the addon, without TensorFlow, or with one that lacks functions: a fallback that says why, or an error. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { IMPLEMENTATIONS } from '../backends/implementations.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { root, runNode, temporaryFolder } from '../package/support.js';

interface Outcome {
  /** With 'auto': what ran, why, and the weights after a step. */
  auto: { implementation: string; reason: string | null; weights: number[] };
  /** What 'native' throws: asked for its implementation, and at its first step. */
  native: Array<{ name: string; code: string; message: string }>;
  /** After that. */
  left: { weights: number[]; tensors: number; iterations: number };
  /** What was printed as a warning. */
  warnings: string[];
}

/** The cpu backend under the name `tensorflow`, with the methods of tfjs-node's that are looked at. */
const STAND_IN = `
  class StandIn extends tf.MathBackendCPU {
    binding = { TF_ATTR_INT: 1 };
    isUsingGpuDevice = false;
    executeSingleOutput() { throw new Error('no op can run here'); }
    executeMultipleOutputs() { throw new Error('no op can run here'); }
  }
  tf.registerBackend('tensorflow', () => new StandIn());
  for (const kernel of tf.getKernelsForBackend('cpu')) tf.registerKernel({ ...kernel, backendName: 'tensorflow' });
`;

/** A child process that takes a step with 'auto' and is refused one with 'native'. */
async function run(
  backend: string,
  env: Record<string, string | undefined>,
  folder = root,
): Promise<Outcome> {
  const realNode = backend === 'tfjs-node';
  const script = `
    require(${JSON.stringify(path.join(folder, 'compat.cjs'))});
    const { createRequire } = require('node:module');
    const fromRoot = createRequire(${JSON.stringify(path.join(folder, 'package.json'))});
    const tf = fromRoot(${realNode ? "'@tensorflow/tfjs-node'" : "'@tensorflow/tfjs'"});
    if (${backend === 'stand-in'}) {
      tf.MathBackendCPU = fromRoot('@tensorflow/tfjs-backend-cpu').MathBackendCPU;
      ${STAND_IN}
    }
    const { ftp } = fromRoot('./cjs/index.js');
    const attempt = (action) => {
      try {
        return action();
      } catch ({ name, code, message }) {
        return { name, code, message };
      }
    };
    (async () => {
      await tf.setBackend(${JSON.stringify(backend === 'cpu' ? 'cpu' : 'tensorflow')});
      const variable = tf.variable(tf.tensor1d([1, 2]), true, 'w');
      const gradient = tf.tensor1d([1, -1]);
      const optimizer = ftp.sgd(0.5, { exclude: ['w'] });
      optimizer.applyGradients({ w: gradient });
      ftp.sgd(0.5).applyGradients({ w: tf.zeros([2]) }); // does not warn again
      variable.assign(tf.tensor1d([0.5, 2.5]));
      const { implementation, fallbackReason: reason } = optimizer;
      const auto = { implementation, reason, weights: [...variable.dataSync()] };
      const before = tf.memory().numTensors;
      const strict = ftp.sgd(0.5, { exclude: ['w'], implementation: 'native' });
      const native = [attempt(() => strict.implementation), attempt(() => strict.applyGradients({ w: gradient }))];
      const tensors = tf.memory().numTensors - before;
      const left = { weights: [...variable.dataSync()], tensors, iterations: strict.iterations };
      console.log('result ' + JSON.stringify({ auto, native, left }));
    })();`;
  const file = path.join(temporaryFolder(), 'main.cjs');
  fs.writeFileSync(file, script);
  const { code, stdout, stderr } = await runNode([file], { env });
  expect(code, stderr).toBe(0);
  const line = stdout.split('\n').find((text) => text.startsWith('result '));
  const warnings = stderr.split('\n').filter((text) => text.startsWith('tfjs-ftp: '));
  return { ...(JSON.parse(line?.slice('result '.length) ?? 'null') as Omit<Outcome, 'warnings'>), warnings };
}

/** The one warning of a process whose steps run in tfjs operations for this reason, with this way out. */
const warningOf = (why: string, advice: string) => [
  'tfjs-ftp: steps will run in tfjs operations, several times slower than the native step: ' +
    `${why}. What to do: ${advice}; \`npx tfjs-ftp doctor\` has the details.`,
];

/** 'auto' took its step with tfjs operations and says why; 'native' threw `code`, and changed nothing. */
function expectFallback({ auto, native, left }: Outcome, code: string): string {
  expect(auto).toEqual({ implementation: 'reference', reason: expect.any(String), weights: [0.5, 2.5] });
  const { reason } = auto as { reason: string };
  const message = `implementation: 'native' cannot run: ${reason}`;
  expect(native).toEqual([
    { name: 'FtpError', code, message },
    { name: 'FtpError', code, message },
  ]);
  expect(left).toEqual({ weights: [0.5, 2.5], tensors: 0, iterations: 0 });
  return reason;
}

const tensorflow = IMPLEMENTATIONS.find(({ runs }) => runs === 'tensorflow-cpu')?.missing ?? null;

describe('without the addon', () => {
  it.each([
    ['a path that does not exist', '/nowhere/tfjs_ftp.node', 'no such file'],
    ['switched off', 'none', 'switched off'],
  ])('%s: on the cpu backend', async (_what, addon, why) => {
    const outcome = await run('cpu', { TFJS_FTP_ADDON: addon });
    const reason = expectFallback(outcome, 'ADDON_NOT_FOUND');
    expect(reason).toMatch(/the compiled addon could not be loaded\. Tried:\n {2}/);
    expect(reason).toContain(`${addon}: ${why}`);
    // The variable is what is to be changed; a compiler would not help.
    expect(reason).toMatch(
      addon === 'none' ? /; unset it to use the addon\.$/ : /\nCorrect TFJS_FTP_ADDON, or unset it/,
    );
    expect(reason).not.toContain('npm rebuild');
    const broken = `the compiled addon could not be loaded (${addon}: ${why})`;
    expect(outcome.warnings).toEqual(
      addon === 'none' ? [] : warningOf(broken, 'correct or unset TFJS_FTP_ADDON'),
    );
  });

  it('not built: what builds it', async () => {
    // A package without build/ and prebuilds/.
    const bare = temporaryFolder();
    for (const entry of ['package.json', 'load_addon.cjs', 'compat.cjs', 'cjs']) {
      fs.cpSync(path.join(root, entry), path.join(bare, entry), { recursive: true });
    }
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(bare, 'node_modules'));
    const outcome = await run('cpu', { TFJS_FTP_ADDON: undefined }, bare);
    expect(expectFallback(outcome, 'ADDON_NOT_FOUND')).toContain('run `npm rebuild tfjs-ftp`');
    expect(outcome.warnings).toEqual(
      warningOf('the compiled addon could not be loaded', '`npm rebuild tfjs-ftp` builds it'),
    );
  });

  it("does not warn with implementation: 'reference', nor on a backend where nothing native runs", async () => {
    const script = `
      const tf = require('@tensorflow/tfjs');
      const { MathBackendCPU } = require('@tensorflow/tfjs-backend-cpu');
      const { ftp } = require('./cjs/index.js');
      (async () => {
        tf.registerBackend('webgl', () => new MathBackendCPU(), 3);
        for (const kernel of tf.getKernelsForBackend('cpu')) tf.registerKernel({ ...kernel, backendName: 'webgl' });
        for (const [backend, implementation] of [['cpu', 'reference'], ['webgl', 'auto']]) {
          await tf.setBackend(backend);
          const w = tf.variable(tf.tensor1d([1, 2]), true, backend);
          const optimizer = ftp.sgd(0.5, { implementation });
          optimizer.applyGradients({ [backend]: tf.tensor1d([1, -1]) });
          console.log(tf.getBackend(), optimizer.implementation);
        }
      })();`;
    const env = { TFJS_FTP_ADDON: '/nowhere/tfjs_ftp.node' };
    const { stdout, stderr } = await runNode(['-e', script], { env });
    expect(stdout).toContain('cpu reference\nwebgl reference\n');
    expect(stderr).not.toContain('tfjs-ftp: ');
  });

  it('a file that is no addon: with the reason of the loader', async () => {
    const broken = path.join(temporaryFolder(), 'broken.node');
    fs.writeFileSync(broken, 'no addon');
    const reason = expectFallback(await run('cpu', { TFJS_FTP_ADDON: broken }), 'ADDON_NOT_FOUND');
    expect(reason).toContain(`  ${broken}: ${broken}:`);
  });
});

describeOrSkip('without the addon, under tfjs-node', tensorflow, () => {
  it('a path that does not exist', async () => {
    const outcome = await run('tfjs-node', { TFJS_FTP_ADDON: '/nowhere/tfjs_ftp.node' });
    expect(outcome.warnings).toHaveLength(1);
    expect(expectFallback(outcome, 'ADDON_NOT_FOUND')).toContain('/nowhere/tfjs_ftp.node: no such file');
  });
});

function whyNoStub(): string | null {
  if (process.platform !== 'linux') return 'a library can only be put in place of another on Linux';
  const { status } = spawnSync('g++', ['--version'], { stdio: 'ignore' });
  return status === 0 ? whyNoAddon() : 'g++ is not installed';
}

/** The C functions that the ops use, read from the header that lists them. */
const FUNCTIONS = [
  ...fs.readFileSync(path.join(root, 'native/op/tf_api.h'), 'utf8').matchAll(/^ {2}X\([^,]+, (\w+),/gm),
].map((match) => `TF_${match[1]}`);

/** Builds a library that stands for libtensorflow_framework and has the functions given, with these bodies. */
function stubLibrary(functions: Record<string, string>): Record<string, string> {
  const folder = temporaryFolder();
  const source = path.join(folder, 'stub.cc');
  const library = path.join(folder, 'libtensorflow_framework.so.2');
  const definitions = Object.entries(functions).map(([name, body]) => `${body.replace('NAME', name)}\n`);
  fs.writeFileSync(source, `extern "C" {\n${definitions.join('')}}\n`);
  const flags = ['-shared', '-fPIC', '-w', '-Wl,-soname,libtensorflow_framework.so.2'];
  const { status, stderr } = spawnSync('g++', [...flags, '-o', library, source], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return { LD_PRELOAD: library };
}

const NOTHING = 'void* NAME() { return nullptr; }';
const VERSION = { TF_Version: 'const char* NAME() { return "2.3.stub"; }' };

describeOrSkip('a TensorFlow that is not right', whyNoStub(), () => {
  it('is not there at all', async () => {
    const outcome = await run('stand-in', {});
    const reason = expectFallback(outcome, 'TENSORFLOW_NOT_FOUND');
    expect(outcome.warnings).toEqual(
      warningOf(reason, '`npx tfjs-ftp setup-tensorflow` installs TensorFlow anew'),
    );
    expect(reason).toContain('no libtensorflow is loaded in this process');
  });

  it('lacks one function of the C API: which one, and what to do', async () => {
    expect(FUNCTIONS.length).toBeGreaterThan(20);
    const missing = 'TF_AllocateOutput';
    expect(FUNCTIONS).toContain(missing);
    const present = FUNCTIONS.filter((name) => name !== missing);
    const env = stubLibrary({ ...VERSION, ...Object.fromEntries(present.map((name) => [name, NOTHING])) });
    const outcome = await run('stand-in', env);
    const reason = expectFallback(outcome, 'TENSORFLOW_API_MISSING');
    expect(outcome.warnings).toEqual(
      warningOf(
        'TensorFlow 2.3.stub lacks parts of its C API',
        '`npx tfjs-ftp setup-tensorflow` installs a newer one',
      ),
    );
    expect(reason).toContain(`TensorFlow 2.3.stub lacks ${missing} in its C API`);
    expect(reason).toContain('npx tfjs-ftp setup-tensorflow');
  });

  it('lacks them all: the list is complete', async () => {
    const reason = expectFallback(await run('stand-in', stubLibrary(VERSION)), 'TENSORFLOW_API_MISSING');
    expect(reason).toContain(`lacks ${FUNCTIONS.join(', ')} in its C API`);
  });

  it('refuses to register the ops: with what it says', async () => {
    const functions = Object.fromEntries(FUNCTIONS.map((name) => [name, NOTHING]));
    const env = stubLibrary({
      ...VERSION,
      ...functions,
      TF_GetCode: 'int NAME(void*) { return 13; }',
      TF_Message: 'const char* NAME(void*) { return "no room for ops"; }',
    });
    const reason = expectFallback(await run('stand-in', env), 'NATIVE_FAILURE');
    expect(reason).toBe('TensorFlow refused TfjsFtpAllocate: no room for ops');
  });
});
