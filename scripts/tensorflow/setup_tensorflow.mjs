#!/usr/bin/env node
// Makes @tensorflow/tfjs-node (or -gpu) run: see `tfjs-ftp setup-tensorflow --help` for the options.
//
// Nothing to do: one line. Else, in turn: the package's own install script; the TensorFlow wheel of the Python
// registry, with the binding built from the package's sources. All is prepared and verified in a folder inside the
// package and moved into place at the end, so a failure or Ctrl-C leaves the package as it was.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reporter, reportFailure, SetupError, seconds } from '../lib/report.mjs';
import { root as ownRoot } from '../lib/root.mjs';
import * as sources from './tensorflow_sources.mjs';
import * as tfjsNode from './tfjs_node_package.mjs';

const PREFIX = 'setup-tensorflow';

const HELP = `Usage: setup-tensorflow [options]

Makes the @tensorflow/tfjs-node of this project run: its own install script where that works, else the TensorFlow
wheel of the Python registry (python3 -m pip) and a binding built with g++.

  --gpu               set up @tensorflow/tfjs-node-gpu
  --force             set up anew even if it works
  --from-wheel FILE   take TensorFlow from this wheel, without the network
  --skip-download     use what is there (deps/ in the package), without the network
  --help              show this`;

/**
 * @param {object} [options]
 * @param {boolean} [options.gpu] set up @tensorflow/tfjs-node-gpu
 * @param {boolean} [options.force] set up anew even if it works
 * @param {string} [options.fromWheel] path of a TensorFlow wheel
 * @param {boolean} [options.skipDownload] use only what is on this machine
 * @param {string} [options.project] folder from which the package is resolved (default: the current one)
 * @param {string} [options.prefix] what each printed line begins with
 * @returns {Promise<{packageName: string, directory: string, tensorflow: string, source: string, changed: boolean}>}
 * @throws {SetupError} if TensorFlow could not be set up; the package is then as it was before
 */
export async function setupTensorflow(options = {}) {
  const {
    force = false,
    fromWheel,
    skipDownload = false,
    project = process.cwd(),
    prefix = PREFIX,
  } = options;
  const say = reporter(prefix);
  const start = performance.now();
  const from = [project, ownRoot];
  const { found, gpu } = locate(options.gpu ?? false, from);
  if (fromWheel && !fs.existsSync(fromWheel))
    throw new SetupError(`--from-wheel: there is no file ${fromWheel}`);
  const { name: packageName, directory } = found;
  const ready = (tensorflow, source, changed, detail) => {
    say(
      `TensorFlow ${tensorflow} is ready under ${packageName} ${found.version} (${detail}, ${seconds(start)})`,
    );
    if (Number.parseInt(process.versions.node, 10) >= 23 && found.version === '4.22.0') {
      say(`under Node ${process.versions.node} a program must load tfjs-ftp/compat beside ${packageName}`);
    }
    return { packageName, directory, tensorflow, source, changed };
  };

  if (!force) {
    const stamp = tfjsNode.readStamp(directory);
    if (stamp) return ready(stamp.tensorflow, stamp.source, false, 'verified before');
  }
  const release = await tfjsNode.lockPackage(directory, say);
  try {
    if (!force) {
      const stamp = tfjsNode.readStamp(directory);
      if (stamp) return ready(stamp.tensorflow, stamp.source, false, 'verified before');
      const present = tfjsNode.findBinding(directory);
      const check = present ? await tfjsNode.verify(directory) : null;
      if (check?.ok) {
        tfjsNode.writeStamp(directory, check.version, 'found');
        return ready(check.version, 'found', false, 'loaded, ran an op');
      }
      say(
        check
          ? `the binding of ${packageName} does not run: ${check.reason}`
          : `${packageName} has no binding yet`,
      );
    }
    const { version, source } = await replaceBinding(directory, { gpu, fromWheel, skipDownload, from, say });
    return ready(version, source, true, source);
  } finally {
    release();
  }
}

function locate(gpuWanted, from) {
  const cpu = '@tensorflow/tfjs-node';
  for (const name of gpuWanted ? [`${cpu}-gpu`] : [cpu, `${cpu}-gpu`]) {
    const found = tfjsNode.findPackage(name, from);
    if (found) return { found, gpu: name.endsWith('-gpu') };
  }
  const name = gpuWanted ? `${cpu}-gpu` : cpu;
  throw new SetupError(
    `${name} is not installed in ${from[0]}`,
    `Install it, without its install script, and try again:\n  npm install --ignore-scripts ${name}`,
  );
}

/** Tries every way in turn, each in a stage of its own; the first that verifies is moved into place. */
async function replaceBinding(directory, options) {
  const failures = [];
  for (const { source, fill } of ways(directory, options)) {
    const stage = tfjsNode.createStage(directory);
    try {
      await fill(stage);
      const check = await tfjsNode.verify(stage.directory, { worker: true });
      if (!check.ok) throw new SetupError(`the new binding does not run: ${check.reason}`);
      tfjsNode.moveIntoPlace(stage.directory, directory);
      tfjsNode.writeStamp(directory, check.version, source);
      return { version: check.version, source };
    } catch (error) {
      if (!(error instanceof SetupError) && error?.code !== 'ENOSPC') throw error;
      failures.push({ source, error });
      options.say(`${source}: ${error.message}`);
    } finally {
      stage.remove();
    }
  }
  const last = failures.at(-1)?.error;
  throw new SetupError(
    `TensorFlow could not be set up; tried: ${failures.map(({ source }) => source).join(', ')}`,
    last?.advice,
  );
}

function ways(directory, { gpu, fromWheel, skipDownload, from, say }) {
  const fromTheWheel = async (stage, wheel, python) => {
    await sources.extractWheel(stage, wheel, { python, say });
    // Only a wheel downloaded into the stage goes; a user's own file stays.
    fs.rmSync(path.join(stage.directory, 'tmp', 'wheel'), { recursive: true, force: true });
    await sources.buildBinding(stage, { from, say });
  };
  const givenWheel = {
    source: 'given wheel',
    fill: async (stage) => {
      sources.checkFreeSpace(directory, gpu);
      await fromTheWheel(stage, path.resolve(fromWheel), await sources.findPython());
    },
  };
  const downloadedWheel = {
    source: 'TensorFlow wheel',
    fill: async (stage) => {
      if (process.platform !== 'linux') {
        throw new SetupError(
          `building against the TensorFlow wheel is supported on Linux only, not on ${process.platform}`,
          `Let the package's own install script run where its host can be reached: npm rebuild @tensorflow/tfjs-node`,
        );
      }
      sources.checkFreeSpace(directory, gpu);
      const python = await sources.findPython();
      await fromTheWheel(stage, await sources.downloadWheel(stage, { gpu, python, say }), python);
    },
  };
  const installScript = {
    source: 'own install script',
    fill: (stage) => sources.runInstallScript(stage, { gpu, packageDirectory: directory, say }),
  };
  const presentLibrary = {
    source: 'libtensorflow already in deps/',
    fill: async (stage) => {
      if (!fs.existsSync(path.join(directory, 'deps', 'lib'))) {
        throw new SetupError(`there is no libtensorflow in ${path.join(directory, 'deps')}`);
      }
      fs.cpSync(path.join(directory, 'deps'), path.join(stage.directory, 'deps'), {
        recursive: true,
        verbatimSymlinks: true,
      });
      await sources.buildBinding(stage, { from, say });
    },
  };
  if (fromWheel) return [givenWheel];
  return skipDownload ? [presentLibrary] : [installScript, downloadedWheel];
}

async function main() {
  const { values } = parseArgs({
    options: {
      gpu: { type: 'boolean' },
      force: { type: 'boolean' },
      'from-wheel': { type: 'string' },
      'skip-download': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  await setupTensorflow({
    gpu: values.gpu,
    force: values.force,
    fromWheel: values['from-wheel'],
    skipDownload: values['skip-download'],
  });
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    reportFailure(
      PREFIX,
      error instanceof TypeError && error.code?.startsWith('ERR_PARSE_ARGS')
        ? new SetupError(error.message, HELP)
        : error,
    );
    process.exitCode = 1;
  });
}
