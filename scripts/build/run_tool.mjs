#!/usr/bin/env node
// `npm run demo`, `npm run bench` and their like: brings the clone to where they run, and runs them.
//   node scripts/build/run_tool.mjs demo|bench|experiments|experiments/speed|demo/select|demo/pretrain [ARGUMENTS]
// Help is printed from the sources: whoever wants to know what there is does not wait for a build.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { reportFailure, SetupError } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { checkDependencies } from './build_steps.mjs';

const TOOLS = ['demo', 'bench', 'experiments', 'experiments/speed', 'demo/select', 'demo/pretrain'];

/** CommonJS is Node's to load, not vite's. */
const nodeLoadsCommonJs = {
  name: 'node-loads-commonjs',
  load(id) {
    if (!id.endsWith('.cjs')) return null;
    const file = JSON.stringify(id);
    return `import { createRequire } from 'node:module'; export default createRequire(${file})(${file});`;
  },
};

/** By the package's own names of its entries: the sources that they are built from. */
function sourceEntries() {
  const { exports } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  return Object.entries(exports).flatMap(([entry, { import: built }]) => {
    if (built === undefined) return [];
    const source = built.default.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts');
    const find = new RegExp(`^tfjs-ftp${entry.slice(1)}$`);
    return [{ find, replacement: path.join(root, source) }];
  });
}

/** Runs a tool's TypeScript as it is. */
async function runSource(script, args) {
  checkDependencies();
  const { runnerImport } = await import('vite');
  process.argv = [process.execPath, script, ...args];
  await runnerImport(script, {
    root,
    configFile: false,
    logLevel: 'error',
    plugins: [nodeLoadsCommonJs],
    resolve: { alias: sourceEntries() },
  });
}

async function main([tool, ...args]) {
  if (!TOOLS.includes(tool)) throw new SetupError(`the tool must be one of ${TOOLS.join(', ')}, got ${tool}`);
  const script = tool.includes('/') ? tool : `${tool}/main`;
  if (args.some((argument) => argument === '--help' || argument === '-h')) {
    await runSource(path.join(root, `${script}.ts`), args);
    return;
  }
  const setup = fileURLToPath(new URL('./setup.mjs', import.meta.url));
  for (const command of [[setup], [path.join(root, 'dist', 'tools', `${script}.js`), ...args]]) {
    const { status } = spawnSync(process.execPath, command, { stdio: 'inherit' });
    process.exitCode = status ?? 1;
    if (status !== 0) return;
  }
}

main(process.argv.slice(2)).catch((error) => {
  reportFailure('tfjs-ftp', error);
  process.exitCode = 1;
});
