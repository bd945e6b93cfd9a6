// node-gyp, found and run without downloading Node's headers where they are on the machine.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { run } from './child.mjs';
import { SetupError } from './report.mjs';
import { root as ownRoot } from './root.mjs';

export const BUILD_TOOLS_ADVICE =
  'Install a C++ compiler, make and Python 3 with pip: on Debian or Ubuntu\n' +
  '  sudo apt-get install -y g++ make python3 python3-pip\n' +
  'on Fedora\n' +
  '  sudo dnf install -y gcc-c++ make python3 python3-pip';

/** The first of these programs that is not there, or null. On Windows node-gyp itself looks for its tools. */
export async function missingBuildTool() {
  if (process.platform === 'win32') return null;
  for (const tool of [
    process.env.CXX || (process.platform === 'darwin' ? 'c++' : 'g++'),
    process.env.MAKE || 'make',
  ]) {
    const [command, ...args] = tool.split(' ');
    const { missing } = await run(command, [...args, '--version'], { timeout: 30_000 });
    if (missing) return command;
  }
  return null;
}

/** node-gyp's entry script: the one that npm offers to scripts, the project's, ours, or npm's own. */
export function findNodeGyp(from = []) {
  const offered = process.env.npm_config_node_gyp;
  if (offered && fs.existsSync(offered)) return offered;
  const roots = [...from, ownRoot];
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  const npm = process.env.npm_execpath;
  if (npm && fs.existsSync(npm)) roots.push(path.dirname(path.dirname(fs.realpathSync(npm))));
  roots.push(
    path.join(prefix, 'lib', 'node_modules', 'npm'),
    path.join(path.dirname(process.execPath), 'node_modules', 'npm'),
  );
  for (const root of roots) {
    try {
      return createRequire(path.join(root, 'package.json')).resolve('node-gyp/bin/node-gyp.js');
    } catch {
      // The next one.
    }
  }
  throw new SetupError(
    'node-gyp was not found',
    'Install it in your project: npm install --save-dev node-gyp',
  );
}

/** Folder with Node's headers: npm's setting `nodedir`, or beside the node program; null: node-gyp downloads them. */
export function nodeHeaders() {
  if (process.env.npm_config_nodedir) return process.env.npm_config_nodedir;
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  return fs.existsSync(path.join(prefix, 'include', 'node', 'node_api.h')) ? prefix : null;
}

/**
 * Runs `node-gyp rebuild` in a folder.
 * @param {string} directory holds binding.gyp
 * @param {object} [options]
 * @param {string[]} [options.from] where else to find node-gyp
 * @param {Record<string, string>} [options.variables] gyp variables
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {() => void} [options.onProgress] called every few seconds
 * @returns the result of run(); of the output of a failed compilation only the compiler's and make's own lines
 */
export async function nodeGypRebuild(
  directory,
  { from, variables = {}, env = process.env, onProgress } = {},
) {
  const definitions = Object.entries(variables).map(([name, value]) => `-D${name}=${value}`);
  const headers = nodeHeaders();
  const args = [findNodeGyp(from), 'rebuild', ...(headers ? [`--nodedir=${headers}`] : [])];
  if (definitions.length > 0) args.push('--', ...definitions);
  const result = await run(process.execPath, args, {
    cwd: directory,
    env: { JOBS: 'max', ...env },
    onProgress,
  });
  const lines = result.output.split('\n').filter((line) => !line.startsWith('gyp '));
  const output = lines.some((line) => /error|\*\*\*/i.test(line)) ? lines.join('\n') : result.output;
  return { ...result, output };
}
