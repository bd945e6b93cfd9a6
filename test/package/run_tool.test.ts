// Help of `npm run demo` and `npm run bench` in a clone where nothing is built.
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { root, runNode, temporaryFolder } from './support.js';

/** The sources and scripts, and the packages that `npm ci` installs. */
function freshClone(): string {
  const folder = temporaryFolder();
  const scripts = ['scripts', 'package.json', 'compat.cjs', 'load_addon.cjs'];
  for (const entry of [...scripts, 'src', 'demo', 'bench', 'experiments', 'tools']) {
    const filter = (file: string) => !/experiments\/(runs|node_modules)$/.test(file);
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true, filter });
  }
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}

test.each([
  ['demo', /Usage: npm run demo -- [\s\S]*--steps/],
  ['bench', /Usage: npm run bench -- [\s\S]*--suite/],
  ['experiments', /Usage: npm run experiments -- [\s\S]*--quick/],
  ['experiments/speed', /Usage: npm run experiments:speed -- [\s\S]*--rounds/],
  ['demo/select', /Usage: select /],
  ['demo/pretrain', /Usage: pretrain /],
])('%s prints its help before anything is built', async (tool, usage) => {
  const folder = freshClone();
  const before = fs.readdirSync(folder);
  const { code, stdout, stderr } = await runNode(['scripts/build/run_tool.mjs', tool, '--help'], {
    cwd: folder,
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(usage);
  expect(code).toBe(0);
  expect(fs.readdirSync(folder)).toEqual(before);
});

test('what the script runs otherwise: set-up first, whose failure ends it', async () => {
  const folder = freshClone();
  fs.rmSync(path.join(folder, 'node_modules'));
  const { code, stderr } = await runNode(['scripts/build/run_tool.mjs', 'demo', '--steps', '1'], {
    cwd: folder,
  });
  expect(stderr).toContain('Run this first: npm ci');
  expect(code).toBe(1);
  const unknown = await runNode(['scripts/build/run_tool.mjs', 'test']);
  expect(unknown.stderr).toContain(
    'the tool must be one of demo, bench, experiments, experiments/speed, demo/select, demo/pretrain, got test',
  );
  expect(unknown.code).toBe(1);
});
