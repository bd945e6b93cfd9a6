// The two ways to fill a stage (a copy of tfjs-node's package) with deps/ and lib/: tfjs-node's own install script,
// and the TensorFlow wheel of the Python registry with the binding built from the package's sources.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, tail } from '../lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool, nodeGypRebuild } from '../lib/node_gyp.mjs';
import { megabytes, SetupError, seconds } from '../lib/report.mjs';
import { findBinding } from './tfjs_node_package.mjs';

const extractScript = fileURLToPath(new URL('./extract_wheel.py', import.meta.url));

/** Any TensorFlow that ships libtensorflow_cc.so.2 and speaks the C API of tfjs-node's binding. */
const TENSORFLOW_RANGE = '>=2.13,<3';
/** Wheels' libraries do not depend on the Python they were made for: asked for if there are none for this Python. */
const COMMON_PYTHON = '3.12';
const FREE_SPACE = { cpu: 1.6e9, gpu: 4e9 };

/** `python3`, or `python` where that is a Python 3; throws with what to install. */
export async function findPython() {
  for (const command of process.platform === 'win32' ? ['py', 'python'] : ['python3', 'python']) {
    const { code, stdout } = await run(command, ['-c', 'import sys; print(sys.version_info[0])'], {
      timeout: 30_000,
    });
    if (code === 0 && stdout.trim() === '3') return command;
  }
  throw new SetupError('Python 3 was not found (python3 is not on the PATH)', BUILD_TOOLS_ADVICE);
}

/** Why `url`'s host cannot be reached within `timeout` ms, or null if it answers. A proxy is trusted to reach it. */
export function probeHost(url, timeout = 5000) {
  if (process.env.HTTPS_PROXY || process.env.https_proxy) return Promise.resolve(null);
  return new Promise((resolve) => {
    const { host, protocol } = new URL(url);
    const request = (protocol === 'http:' ? http : https).request(url, { method: 'HEAD' });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${timeout / 1000} s`)),
      timeout,
    );
    const finish = (reason) => {
      clearTimeout(timer);
      request.destroy();
      resolve(reason && `${host} cannot be reached (${reason})`);
    };
    request.on('response', () => finish(null));
    request.on('error', (error) => finish(error.code ?? error.message));
    request.end();
  });
}

/**
 * tfjs-node's own install script: downloads libtensorflow and a prebuilt binding.
 * @param {{directory: string}} stage
 * @param {{gpu: boolean, packageDirectory: string, say: (line: string) => void}} options
 */
export async function runInstallScript(stage, { gpu, packageDirectory, say }) {
  const base = process.env.TFJS_NODE_BASE_URI ?? process.env.TFJS_NODE_CDN_STORAGE ?? process.env.CDN_STORAGE;
  const reason = await probeHost(base ?? 'https://storage.googleapis.com/tensorflow/');
  if (reason) throw new SetupError(reason);
  say("running tfjs-node's own install script (downloads libtensorflow and a prebuilt binding)");
  const bins = [];
  for (let folder = packageDirectory; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    bins.push(path.join(folder, 'node_modules', '.bin'));
  }
  const { code, output, stopped } = await run(process.execPath, ['scripts/install.js', gpu ? 'gpu' : 'cpu'], {
    cwd: stage.directory,
    env: { ...process.env, PATH: [...bins, process.env.PATH].join(path.delimiter) },
    stall: 90_000,
    watch: stage.directory,
    onProgress: (size) => say(`  ... ${megabytes(size)}`),
  });
  if (code !== 0 || !findBinding(stage.directory)) {
    throw new SetupError(
      `the install script ${stopped ? `was stopped: ${stopped}` : 'ended without a binding'}\n${tail(output, 5)}`,
    );
  }
}

/** Downloads the TensorFlow wheel with pip, as pip is configured on this machine; returns its path. */
export async function downloadWheel(stage, { gpu, python, say }) {
  // The CPU wheel of Linux on ARM is published under the name without a suffix only.
  const name = gpu || process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
  const pip = ['-m', 'pip'];
  const { code: pipMissing } = await run(python, [...pip, '--version'], { timeout: 60_000 });
  if (pipMissing !== 0)
    throw new SetupError(`pip was not found (${python} -m pip fails)`, BUILD_TOOLS_ADVICE);
  const target = path.join(stage.directory, 'tmp', 'wheel');
  const download = (extra) => {
    const args = [...pip, 'download', '--no-deps', '--no-input', '--disable-pip-version-check'];
    args.push(
      '--progress-bar',
      'off',
      '--retries',
      '1',
      '--timeout',
      '15',
      '--only-binary',
      ':all:',
      ...extra,
    );
    return run(python, [...args, '--dest', target, `${name}${TENSORFLOW_RANGE}`], {
      env: { ...process.env, TMPDIR: path.join(stage.directory, 'tmp') },
      stall: 120_000,
      watch: path.join(stage.directory, 'tmp'),
      onProgress: (size) => say(`  ... ${megabytes(size)}`),
    });
  };
  const start = performance.now();
  say(`downloading the ${name} wheel with ${python} -m pip (about ${gpu ? 650 : 270} MB)`);
  let result = await download([]);
  if (result.code !== 0 && !result.stopped && /No matching distribution/.test(result.output)) {
    result = await download(['--python-version', COMMON_PYTHON, '--implementation', 'cp']);
  }
  const { code, output, stopped } = result;
  const wheel = code === 0 && fs.readdirSync(target).find((entry) => entry.endsWith('.whl'));
  if (!wheel) {
    throw new SetupError(
      `pip could not download ${name}${stopped ? `: ${stopped}` : ''}\n${tail(output, 6)}`,
      'Check that pip can reach a package index, or pass a wheel: setup-tensorflow --from-wheel FILE',
    );
  }
  say(`downloaded ${wheel} in ${seconds(start)}`);
  return path.join(target, wheel);
}

/** Fills the stage's deps/ from a wheel. */
export async function extractWheel(stage, wheel, { python, say }) {
  const start = performance.now();
  say('extracting libtensorflow and the C headers');
  const deps = path.join(stage.directory, 'deps');
  const { code, output } = await run(python, [extractScript, wheel, deps]);
  if (code !== 0) throw new SetupError(`cannot extract ${wheel}\n${tail(output, 4)}`);
  say(`extracted in ${seconds(start)}`);
}

/** Fails early with a clear message where the disk cannot hold what is about to be written. */
export function checkFreeSpace(directory, gpu) {
  const { bavail, bsize } = fs.statfsSync(directory);
  const needed = FREE_SPACE[gpu ? 'gpu' : 'cpu'];
  if (bavail * bsize < needed) {
    throw new SetupError(
      `not enough disk space at ${directory}: ${megabytes(bavail * bsize)} free, ${megabytes(needed)} needed`,
      'Free some space; about half of it is given back at the end.',
    );
  }
}

/** Builds the stage's lib/napi-v8/tfjs_binding.node from the package's own sources against the stage's deps/. */
export async function buildBinding(stage, { from, say }) {
  const missing = await missingBuildTool();
  if (missing) throw new SetupError(`${missing} was not found`, BUILD_TOOLS_ADVICE);
  const start = performance.now();
  say("building tfjs-node's binding from its own sources with node-gyp");
  const variables = {
    module_name: 'tfjs_binding',
    module_path: path.join(stage.directory, 'lib', 'napi-v8'),
    napi_build_version: '8',
  };
  const { code, output, stopped } = await nodeGypRebuild(stage.directory, { from, variables });
  if (code !== 0 || !findBinding(stage.directory)) {
    throw new SetupError(
      `node-gyp could not build the binding${stopped ? `: ${stopped}` : ''}\n${tail(output)}`,
    );
  }
  say(`built in ${seconds(start)}`);
}
