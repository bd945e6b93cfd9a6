#!/usr/bin/env node
// The page of the demo: `npm run demo:web` serves it while its sources may change, `npm run demo:web -- build` writes it as
// files that any server can serve, to docs/demo or to --out DIR, if a source changed.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { reporter, reportFailure, SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { checkDependencies } from './build_steps.mjs';
import { inputsDigest, isFresh, listFiles, writeRecord } from './freshness.mjs';

const CONFIG = path.join(root, 'demo', 'web', 'vite.config.ts');
const say = reporter('demo');

/** The page holds the package as it is built. */
function digestOfInputs() {
  const isModule = (file) => file.endsWith('.js') && !file.startsWith(path.join('dist', 'tools'));
  const folders = ['demo', 'tools', 'package-lock.json'].flatMap((entry) => listFiles(root, entry));
  return inputsDigest(root, [...folders, ...listFiles(root, 'dist', isModule)]);
}

async function build(outDir) {
  const record = path.join(outDir, '.built');
  const digest = digestOfInputs();
  if (isFresh(record, digest, [path.join(outDir, 'index.html')])) {
    say(`${path.relative(root, outDir)} is up to date`);
    return;
  }
  const start = performance.now();
  const vite = await import('vite');
  await vite.build({ configFile: CONFIG, logLevel: 'warn', build: { outDir } });
  writeRecord(record, digest);
  const bytes = listFiles(outDir, '.').reduce(
    (sum, file) => sum + fs.statSync(path.join(outDir, file)).size,
    0,
  );
  say(`wrote ${path.relative(root, outDir)}, ${(bytes / 1e6).toFixed(1)} MB, in ${seconds(start)}`);
}

async function serve() {
  const vite = await import('vite');
  const server = await vite.createServer({ configFile: CONFIG });
  await server.listen();
  server.printUrls();
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { out: { type: 'string', default: path.join(root, 'docs', 'demo') } },
    allowPositionals: true,
  });
  if (positionals.some((word) => word !== 'build') || positionals.length > 1) {
    throw new SetupError(`the only command is build, got ${positionals.join(' ')}`);
  }
  if (!fs.existsSync(path.join(root, 'dist', 'index.js'))) {
    throw new SetupError('dist/index.js is missing', 'Run this first: npm run setup');
  }
  checkDependencies();
  if (positionals.length === 1) await build(path.resolve(values.out));
  else await serve();
}

main().catch((error) => {
  reportFailure('demo', error);
  process.exitCode = 1;
});
