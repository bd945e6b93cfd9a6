#!/usr/bin/env node
// Formats native/ with the clang-format that npm installs (or the one on the PATH where npm's has no binary for this
// platform). With --check it only tells which files differ, and fails if any does.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { listFiles } from '../build/freshness.mjs';
import { root } from '../lib/root.mjs';

const bundled = path.join(
  root,
  'node_modules/clang-format/bin',
  `${process.platform}_${process.arch}`,
  'clang-format',
);
const clangFormat = fs.existsSync(bundled) ? bundled : 'clang-format';

const check = process.argv.includes('--check');
const files = listFiles(root, 'native', (file) => /\.(cc|h|cu|cuh)$/.test(file));
if (files.length === 0) {
  console.error('format_cpp: no C++ files were found below native/');
  process.exit(1);
}
const mode = check ? ['--dry-run', '--Werror'] : ['-i'];
const { status, error } = spawnSync(clangFormat, [...mode, '--style=file', ...files], {
  cwd: root,
  stdio: 'inherit',
});
if (error) {
  console.error(`format_cpp: cannot run ${clangFormat}: ${error.message}`);
  process.exit(1);
}
const version = execFileSync(clangFormat, ['--version'], { encoding: 'utf8' }).match(/version [\d.]+/)?.[0];
if (status === 0)
  console.log(`clang-format ${version}: ${files.length} files ${check ? 'are formatted' : 'formatted'}`);
else console.error('clang-format: run `npm run format:cpp`');
process.exitCode = status ?? 1;
