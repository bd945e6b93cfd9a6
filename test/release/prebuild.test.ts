// scripts/release/prebuild.mjs says what it cannot build and why; what it builds is tested in tarball.test.ts and prebuild_arm64.test.ts.
import path from 'node:path';
import { expect, test } from 'vitest';
import { programFolder, root, runNode, temporaryFolder } from '../package/support.js';
import { HOST } from './tarball.js';

const prebuild = (args: string[], env: Record<string, string | undefined> = {}) =>
  runNode([path.join(root, 'scripts', 'release', 'prebuild.mjs'), '--out', temporaryFolder(), ...args], {
    env,
  });

test('a target that has no tools here is refused', async () => {
  const { code, stderr } = await prebuild(['--target', 'plan9-mips']);
  expect(stderr).toBe(
    `prebuild: plan9-mips: it cannot be built on ${HOST}\n` +
      'prebuild: Build it on a machine of its own kind.\n',
  );
  expect(code).toBe(1);
});

test.skipIf(process.platform === 'win32')('without a compiler it says what to install', async () => {
  const { code, stderr } = await prebuild(['--target', HOST], { PATH: temporaryFolder(), CXX: undefined });
  expect(stderr).toMatch(/(g\+\+|c\+\+) was not found/);
  expect(stderr).toContain('apt-get install -y g++ make');
  expect(code).toBe(1);
});

test.skipIf(HOST !== 'linux-x64')(
  'without the cross compiler it names the packages (linux-x64)',
  async () => {
    const PATH = programFolder({ make: 'exit 0' });
    const { code, stderr } = await prebuild(['--target', 'linux-arm64'], { PATH });
    expect(stderr).toContain('linux-arm64: aarch64-linux-gnu-g++ was not found');
    expect(stderr).toContain('apt-get install -y g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user');
    expect(code).toBe(1);
  },
);

test('an unknown kind of test is refused', async () => {
  const { code, stderr } = await prebuild(['--test', 'some']);
  expect(stderr).toContain('--test must be all, digest, none, got some');
  expect(code).toBe(1);
});
