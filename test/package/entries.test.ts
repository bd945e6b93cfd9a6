// What package.json promises: every entry can be imported, in both module systems, with the types it names.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { root, runNode } from './support.js';

interface Conditions {
  types: string;
  default: string;
}

interface Manifest {
  main: string;
  module: string;
  types: string;
  bin: Record<string, string>;
  files: string[];
  exports: Record<string, string | Conditions | { import: Conditions; require: Conditions }>;
}

const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;
const entries = Object.entries(manifest.exports).filter(([, target]) => typeof target === 'object');

/** Names that a module exports, as seen by a fresh process in each module system. */
async function exportedNames(specifier: string, kind: 'import' | 'require'): Promise<string[]> {
  const load = kind === 'import' ? `await import('${specifier}')` : `require('${specifier}')`;
  const script = `const names = Object.keys(${load}); console.log('names ' + JSON.stringify(names.sort()));`;
  const args = kind === 'import' ? ['--input-type=module', '-e', script] : ['-e', script];
  const { code, stdout, stderr } = await runNode(args, { env: { NODE_OPTIONS: undefined } });
  expect(code, stderr).toBe(0);
  const line = stdout.split('\n').find((text) => text.startsWith('names '));
  return JSON.parse(line?.slice('names '.length) ?? 'null') as string[];
}

describe.each(entries)('entry %s', (entry, target) => {
  const specifier = path.posix.join('tfjs-ftp', entry);

  test('every file it names exists, types first', () => {
    const conditions = 'import' in (target as object) ? Object.values(target as object) : [target];
    for (const condition of conditions as Conditions[]) {
      expect(Object.keys(condition)).toEqual(['types', 'default']);
      for (const file of Object.values(condition)) {
        expect(fs.existsSync(path.join(root, file)), file).toBe(true);
      }
    }
  });

  test('import and require give the same names', async () => {
    const imported = await exportedNames(specifier, 'import');
    const required = await exportedNames(specifier, 'require');
    const own = (names: string[]) =>
      names.filter((name) => !['default', 'module.exports', '__esModule'].includes(name));
    expect(own(required)).toEqual(own(imported));
    if (entry !== './compat') expect(own(imported).length).toBeGreaterThan(0);
  });
});

test('the main entry has what the README uses', async () => {
  expect(await exportedNames('tfjs-ftp', 'import')).toEqual(
    expect.arrayContaining(['FtpAdamWOptimizer', 'FtpError', 'ftp']),
  );
});

test('the command starts, and names its commands', async () => {
  const file = path.join(root, manifest.bin['tfjs-ftp'] ?? '');
  expect(fs.readFileSync(file, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const { code, stdout } = await runNode([file, '--help']);
  expect(code).toBe(0);
  for (const name of ['doctor', 'setup-tensorflow', 'demo', 'bench']) expect(stdout).toContain(name);
  const unknown = await runNode([file, 'tune']);
  expect(unknown.stderr).toContain("unknown command 'tune'");
  expect(unknown.code).toBe(1);
});

test('arguments reach the script behind a command, options included', async () => {
  const file = path.join(root, manifest.bin['tfjs-ftp'] ?? '');
  const { code, stdout } = await runNode([file, 'setup-tensorflow', '--help']);
  expect(stdout).toContain('--from-wheel FILE');
  expect(code).toBe(0);
  const refused = await runNode([file, 'setup-tensorflow', '--cuda']);
  expect(refused.stderr).toContain("Unknown option '--cuda'");
  expect(refused.code).toBe(1);
});

test('package-lock.json names no registry', () => {
  const { packages } = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string; link?: boolean }>;
  };
  // A workspace is a link into the repository; nothing else says where it comes from.
  const resolved = Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined);
  expect(resolved).toEqual([
    ['node_modules/tfjs-ftp-experiments', { resolved: 'experiments', link: true }],
    ['node_modules/tfjs-ftp-tools', { resolved: 'tools', link: true }],
  ]);
});
