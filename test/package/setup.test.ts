// scripts/build/setup.mjs on small copies of the repository, each with one thing missing or changed.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { programFolder, root, runNode, temporaryFolder } from './support.js';

const REQUIRED_PACKAGES = ['typescript', 'node-gyp-build', 'node-addon-api', '@tensorflow/tfjs-core'];

/** The scripts and settings of the repository, a source file of one line, and the packages that a build needs. */
function smallClone({ dependencies = true } = {}): string {
  const folder = temporaryFolder();
  const copied = ['scripts', 'package.json', 'compat.cjs', 'load_addon.cjs', 'load_addon.d.cts'];
  const settings = ['tsconfig.json', 'tsconfig.cjs.json', 'tsconfig.tools.json'];
  for (const entry of [...copied, ...settings]) {
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true });
  }
  fs.mkdirSync(path.join(folder, 'src'));
  fs.writeFileSync(path.join(folder, 'src', 'index.ts'), 'export const answer: number = 42;\n');
  if (dependencies) {
    for (const name of [...REQUIRED_PACKAGES, '@types/node', 'undici-types', 'node-gyp', 'cmake-js']) {
      const target = path.join(folder, 'node_modules', name);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.symlinkSync(path.join(root, 'node_modules', name), target);
    }
  }
  return folder;
}

const setup = (folder: string, args: string[], env: Record<string, string | undefined> = {}) =>
  runNode(['scripts/build/setup.mjs', ...args], { cwd: folder, env: { CXX: undefined, ...env } });

test('before npm ci it says so', async () => {
  const { code, stderr } = await setup(smallClone({ dependencies: false }), []);
  expect(stderr).toContain(`node_modules lacks ${REQUIRED_PACKAGES.join(', ')}`);
  expect(stderr).toContain('Run this first: npm ci');
  expect(code).toBe(1);
});

test('an unknown step is refused', async () => {
  const { code, stderr } = await setup(smallClone(), ['--only', 'cuda']);
  expect(stderr).toContain(
    '--only must be one of addon, typescript, tensorflow, emulation, native-tests, got cuda',
  );
  expect(code).toBe(1);
});

test('an unknown TFJS_FTP_CUDA is refused', async () => {
  const { code, stderr } = await setup(smallClone(), [], { TFJS_FTP_CUDA: 'no' });
  expect(stderr).toBe("setup: TFJS_FTP_CUDA must be AUTO, ON, OFF, got 'no'\n");
  expect(code).toBe(1);
});

describe('the addon', () => {
  test('without a compiler it goes on with the reference implementation', async () => {
    const { code, stdout } = await setup(smallClone(), ['--only', 'addon'], { PATH: temporaryFolder() });
    expect(stdout).toContain(
      'addon: not built, g++ was not found; the reference implementation will be used',
    );
    expect(stdout).toContain('apt-get install -y g++ make');
    expect(code).toBe(0);
  });

  test('with an emulated CUDA device is built where asked for, and CUDA is not switched off', async () => {
    const folder = smallClone();
    const off = await setup(folder, ['--only', 'emulation'], { TFJS_FTP_CUDA: 'OFF' });
    expect(off.stdout).toContain('emulation: not built, TFJS_FTP_CUDA is OFF');
    expect(off.code).toBe(0);
    const none = await setup(folder, ['--only', 'emulation'], { PATH: temporaryFolder() });
    expect(none.stdout).toContain('emulation: not built, cmake was not found');
    expect(none.code).toBe(0);
  });

  test('a build that fails is a failure, with the output of the tool', async () => {
    const folder = smallClone();
    fs.writeFileSync(path.join(folder, 'CMakeLists.txt'), 'message(FATAL_ERROR "no such kernel")\n');
    // Stand-ins for the tools, so that the test takes no compiler: cmake fails as it would on that file.
    const tools = programFolder({
      'g++': 'exit 0',
      make: 'exit 0',
      cmake:
        'case "$*" in *--version*) echo "cmake version 3.25.1" ;; *) echo "no such kernel" >&2; exit 1 ;; esac',
    });
    const { code, stderr } = await setup(folder, ['--only', 'addon'], { PATH: tools });
    expect(stderr).toContain('the addon could not be built with cmake-js');
    expect(stderr).toContain('no such kernel');
    expect(code).toBe(1);
  });
});

test('without cmake the native tests are not built, which is a notice', async () => {
  const env = { PATH: temporaryFolder() };
  const { code, stdout } = await setup(smallClone(), ['--only', 'native-tests'], env);
  expect(stdout).toContain('native tests: not built, cmake was not found');
  expect(code).toBe(0);
});

test('CMake gets the settings of each run, and no build of another checkout', async () => {
  const folder = smallClone();
  fs.writeFileSync(path.join(folder, 'CMakeLists.txt'), '');
  const log = path.join(folder, 'cmake.log');
  const tools = programFolder({
    'g++': 'exit 0',
    make: 'exit 0',
    cmake: `case "$*" in *--version*) echo "cmake version 3.25.1" ;; *) echo "$@" >>${log}; exit 1 ;; esac`,
  });
  const configure = async (env: Record<string, string | undefined>) => {
    const unset = { TFJS_FTP_CUDA: undefined, TFJS_FTP_CUDA_ARCHS: undefined };
    await setup(folder, ['--only', 'addon'], { ...unset, PATH: tools, ...env });
    const asked = fs.readFileSync(log, 'utf8');
    fs.rmSync(log);
    return asked;
  };
  const build = path.join(folder, 'build');
  fs.mkdirSync(build);
  fs.writeFileSync(path.join(build, 'CMakeCache.txt'), 'CMAKE_HOME_DIRECTORY:INTERNAL=/another/checkout\n');
  fs.writeFileSync(path.join(build, 'build.ninja'), '');
  expect(await configure({ TFJS_FTP_CUDA: 'OFF', TFJS_FTP_CUDA_ARCHS: '80;90' })).toMatch(
    /-DTFJS_FTP_CUDA=OFF.* -DTFJS_FTP_CUDA_ARCHS=80;90/,
  );
  expect(fs.existsSync(path.join(build, 'build.ninja'))).toBe(false);
  // What the environment no longer says is taken back.
  expect(await configure({})).toMatch(/-DTFJS_FTP_CUDA=AUTO.* -DTFJS_FTP_CUDA_ARCHS=AUTO/);
});

test('TypeScript is compiled when a source is new, changed or gone, and only then', async () => {
  const folder = smallClone();
  const compile = () => setup(folder, ['--only', 'typescript']);
  const first = await compile();
  expect(first.stderr).toBe('');
  expect(first.stdout).toMatch(/typescript: compiled in/);
  const ask =
    "import('./dist/index.js').then((esm) => console.log(esm.answer, require('./cjs/index.js').answer))";
  expect((await runNode(['-e', ask], { cwd: folder })).stdout.trim()).toBe('42 42');
  expect((await compile()).stdout.trim()).toBe('setup: typescript: up to date');

  fs.writeFileSync(path.join(folder, 'src', 'index.ts'), 'export const answer: number = 43;\n');
  expect((await compile()).stdout).toMatch(/typescript: compiled in/);
  expect((await runNode(['-e', ask], { cwd: folder })).stdout.trim()).toBe('43 43');

  fs.writeFileSync(path.join(folder, 'src', 'index.ts'), "export const answer: number = '44';\n");
  const broken = await compile();
  expect(broken.stderr).toContain('tsc -p tsconfig.json failed');
  expect(broken.stderr).toContain('src/index.ts(1,14): error TS2322');
  expect(broken.code).toBe(1);
  // A failure is not taken for a build.
  expect((await compile()).code).toBe(1);
}, 120_000);

describe('TensorFlow that cannot be set up', () => {
  test('is a notice, so that the rest can be used', async () => {
    const env = { TFJS_FTP_REQUIRE_TENSORFLOW: undefined };
    const { code, stdout } = await setup(smallClone(), ['--only', 'tensorflow'], env);
    expect(stdout).toContain('tensorflow: @tensorflow/tfjs-node is not installed');
    expect(stdout).toContain('going on without it');
    expect(code).toBe(0);
  });

  test('is a failure where it must be there', async () => {
    const env = { TFJS_FTP_REQUIRE_TENSORFLOW: '1' };
    const { code, stderr } = await setup(smallClone(), ['--only', 'tensorflow'], env);
    expect(stderr).toContain('@tensorflow/tfjs-node is not installed');
    expect(code).toBe(1);
  });
});
