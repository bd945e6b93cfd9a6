// Does the addon load, and what is it?
import path from 'node:path';
import { run } from '../lib/child.mjs';

const SCRIPT = `
  const { addon, path, error } = require(process.argv[1])();
  console.log(JSON.stringify(addon ? { path, cuda: addon.buildInfo().cuda, problem: null } : { problem: error.message }));`;

/**
 * Loads the addon in a process of its own: a broken one cannot harm this one, and one that is built anew is not taken
 * for the one that was loaded before.
 * @param {string} root the package folder
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{path: string | null, problem: string | null, cuda: boolean}>} which file was loaded, or why none was;
 *   has it CUDA kernels?
 */
export async function examineAddon(root, env = process.env) {
  const args = ['-e', SCRIPT, path.join(root, 'load_addon.cjs')];
  const { code, output, stdout } = await run(process.execPath, args, { cwd: root, env, timeout: 60_000 });
  try {
    return { path: null, cuda: false, ...JSON.parse(stdout) };
  } catch {
    return { path: null, cuda: false, problem: output.trim() || `loading it ended with code ${code}` };
  }
}
