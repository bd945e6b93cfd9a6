// What users get: a prebuild is made, packed with the package, and installed from the tarball into an empty project where
// there is no compiler. Nothing is compiled there, the fused step runs and the doctor tells what it found.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import type { DoctorReport } from '../../src/cli/doctor.js';
import { whyNoTensorflow } from '../backends/skip.js';
import { codeBlocks } from '../package/markdown.js';
import { listTree, type Outcome, root, runNode } from '../package/support.js';
import {
  BUILD_PROGRAMS,
  compilerlessPath,
  HOST,
  npm,
  npmScript,
  obtainPrebuild,
  type Prebuilt,
  packTarball,
  registryProblem,
  runIn,
} from './tarball.js';

const PEERS = ['@tensorflow/tfjs-core@4.22.0', '@tensorflow/tfjs-backend-cpu@4.22.0'];

const work = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'tfjs-ftp-tarball-'));
const project = path.join(work, 'project');
const bin = path.join(work, 'bin');
const installed = path.join(project, 'node_modules', 'tfjs-ftp');

/** Why nothing could be built or installed here; null: it could. */
let missing: string | null = null;
let prebuilt: Prebuilt;
let files: string[];
let install: Outcome;

beforeAll(async () => {
  missing = npmScript === null ? 'npm was not found' : await whyNoBuild();
  if (missing !== null) return;
  missing = await registryProblem(work, PEERS[0] as string);
  if (missing !== null) return;
  const folder = path.join(work, 'package');
  prebuilt = await obtainPrebuild(folder);
  if (prebuilt.code !== 0) return;
  const packed = await packTarball(folder);
  files = packed.files;
  fs.mkdirSync(project);
  fs.writeFileSync(
    path.join(project, 'package.json'),
    '{"name": "project", "version": "1.0.0", "private": true}',
  );
  const options = [
    '--ignore-scripts=false',
    '--foreground-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
  ];
  const PATH = compilerlessPath(bin);
  install = await npm(['install', ...options, packed.tarball, ...PEERS], project, {
    PATH,
    CXX: undefined,
    CC: undefined,
  });
}, 15 * 60_000);

afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

async function whyNoBuild(): Promise<string | null> {
  const ask =
    "import('./scripts/lib/node_gyp.mjs').then(async (m) => console.log(await m.missingBuildTool()))";
  const { stdout } = await runNode(['-e', ask]);
  return stdout.trim() === 'null' ? null : `${stdout.trim()} was not found`;
}

/** A test of the installed package; skipped with the reason where it cannot be made or installed here. */
function packageTest(title: string, body: () => Promise<void>, timeout?: number): void {
  test.skipIf(process.platform === 'win32')(
    title,
    async (context: TestContext) => {
      if (missing !== null) context.skip(missing);
      expect(prebuilt.code, prebuilt.stderr).toBe(0);
      expect(install.code, install.stderr).toBe(0);
      await body();
    },
    timeout,
  );
}

/** The prebuilt file, where the project has it. */
const prebuild = () => path.join(installed, 'prebuilds', HOST, path.basename(prebuilt.file));

packageTest('the prebuild needs and shows no more than it may', async () => {
  // Other systems than the one that releases are made on may have newer libraries.
  const debian12 =
    fs.existsSync('/etc/os-release') && /^ID=debian\n(.*\n)*VERSION_ID="12"/m.test(osRelease());
  const args = ['--dir', path.join(work, 'package'), '--baseline', debian12 ? 'debian_12' : 'any'];
  const { code, stdout, stderr } = await runNode(['scripts/release/check_prebuilds.mjs', ...args]);
  expect(stderr).toBe('');
  expect(stdout).toContain(`${HOST}/${path.basename(prebuilt.file)}`);
  expect(code).toBe(0);
});

const osRelease = () => fs.readFileSync('/etc/os-release', 'utf8').split('\n').sort().join('\n');

packageTest('the tarball holds what is needed and no more', async () => {
  expect(files).toEqual(
    expect.arrayContaining([
      'dist/index.js',
      'cjs/index.js',
      'binding.gyp',
      'load_addon.cjs',
      'native/addon/exports.map',
      'native/kernels/cuda/nvcc.txt',
      `prebuilds/${HOST}/${path.basename(prebuilt.file)}`,
      'scripts/install/install.mjs',
      'scripts/install/gyp_cuda.mjs',
      'scripts/install/nvcc.mjs',
    ]),
  );
  const unwanted =
    /^(test|bench|demo|tools|build|dist\/tools|native\/(test|bench)|scripts\/(build|release|check))|tsbuildinfo|\.tfjs_ftp_/;
  expect(files.filter((file) => unwanted.test(file))).toEqual([]);
});

packageTest('it was installed without any way to compile', async () => {
  for (const program of BUILD_PROGRAMS) {
    const found = await runIn(project, bin, path.join(bin, 'sh'), ['-c', `command -v ${program}`]);
    expect(found.stdout, program).toBe('');
  }
  expect(install.stdout).not.toMatch(/native addon|building|reference implementation/);
  expect(fs.existsSync(path.join(installed, 'build'))).toBe(false);
  const addons = listTree(installed).filter((file) => file.includes('.node '));
  expect(addons.filter((file) => !file.startsWith(`prebuilds${path.sep}`))).toEqual([]);
  // No other package brought a build or a download with it.
  const lock = JSON.parse(fs.readFileSync(path.join(project, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { hasInstallScript?: boolean }>;
  };
  const scripts = Object.keys(lock.packages).filter((name) => lock.packages[name]?.hasInstallScript);
  expect(scripts).toEqual(['node_modules/tfjs-ftp']);
});

packageTest('the fused step runs on plain arrays, with the bits of the build here', async () => {
  fs.copyFileSync(path.join(root, 'test', 'package', 'fused_step.mjs'), path.join(project, 'fused_step.mjs'));
  const there = await runIn(project, bin, 'node', ['fused_step.mjs', 'tfjs-ftp/native']);
  expect(there.stderr).toBe('');
  const result = JSON.parse(there.stdout);
  expect(result).toMatchObject({ path: prebuild(), moved: true });
  const here = await runNode(['test/package/fused_step.mjs', 'tfjs-ftp/native']);
  expect(result.bits).toBe(JSON.parse(here.stdout).bits);
});

packageTest('an optimizer trains natively on the cpu backend', async () => {
  const script = `
    import * as tf from '@tensorflow/tfjs-core';
    import '@tensorflow/tfjs-backend-cpu';
    import { ftp } from 'tfjs-ftp';
    await tf.setBackend('cpu');
    const w = tf.variable(tf.tensor2d([[1, -2], [3, 4]]), true, 'w');
    const optimizer = ftp.adamw(0.1, { implementation: 'native' });
    const before = await w.data();
    for (let step = 0; step < 3; step++) optimizer.applyGradients({ w: tf.mul(w, 2) });
    const [from, to] = [before, await w.data()].map((values) => values.map(Math.abs));
    console.log(JSON.stringify({ implementation: optimizer.implementation, nearer: from.map((x, i) => to[i] < x) }));`;
  fs.writeFileSync(path.join(project, 'train.mjs'), script);
  const { stdout, stderr } = await runIn(project, bin, 'node', ['train.mjs']);
  expect(stdout, stderr).not.toBe('');
  const { implementation, nearer } = JSON.parse(stdout.trim().split('\n').at(-1) as string);
  expect(implementation).toBe('cpu');
  expect(Object.values(nearer)).toEqual([1, 1, 1, 1]);
});

packageTest("the README's first example runs as it stands", async () => {
  const reason = await whyNoTensorflow();
  expect(process.env.TFJS_FTP_REQUIRE_TENSORFLOW === '1' ? reason : null).toBeNull();
  if (reason !== null) return;
  // The package as it was installed, with the tfjs-node of this repository: one more would be downloaded.
  const readme = path.join(work, 'readme');
  const modules = path.join(readme, 'node_modules');
  fs.cpSync(path.join(project, 'node_modules'), modules, { recursive: true });
  fs.rmSync(path.join(modules, '@tensorflow'), { recursive: true });
  fs.symlinkSync(path.join(root, 'node_modules', '@tensorflow'), path.join(modules, '@tensorflow'));
  const [block] = codeBlocks('README.md', 'js');
  expect(block?.code).toContain('ftp.adamw(1e-3, { model })');
  // As the README says for these.
  const compat = Number(process.versions.node.split('.')[0]) >= 23 ? "import 'tfjs-ftp/compat';\n" : '';
  fs.writeFileSync(path.join(readme, 'readme.mjs'), `${compat}${block?.code}`);
  const { code, stdout, stderr } = await runIn(readme, bin, 'node', ['readme.mjs']);
  expect(code, stderr).toBe(0);
  expect(stdout.trim().split('\n').at(-1)).toBe('tensorflow-cpu');
});

async function doctor(): Promise<{ report: DoctorReport; text: string }> {
  const command = (args: string[]) =>
    npm(['exec', '--offline', '--', 'tfjs-ftp', 'doctor', ...args], project, { PATH: bin });
  const text = await command([]);
  expect(text.code, text.stderr).toBe(0);
  return { report: JSON.parse((await command(['--json'])).stdout) as DoctorReport, text: text.stdout };
}

packageTest('the doctor names the prebuild, and says that there is no GPU', async () => {
  const { report, text } = await doctor();
  expect(report.addon).toMatchObject({ found: true, path: prebuild() });
  expect(report.problems).toEqual([]);
  expect(report.implementations.cpu?.implementation).toBe('cpu');
  expect(text).toContain(prebuild());
  expect(report.addon.cuda?.built).toBe(prebuilt.cuda);
  if (report.gpus.length > 0) return;
  expect(report.addon.cuda?.available).toBe(false);
  expect(text).toContain('none (nvidia-smi shows no NVIDIA GPU)');
  expect(text).toMatch(
    prebuilt.cuda
      ? /CUDA kernels \(runtime [\d.]+\) cannot run: no NVIDIA driver/
      : /built without CUDA kernels/,
  );
});

packageTest(
  'where it is asked for, the package builds from what it holds, and that build is loaded',
  async () => {
    const cuda = (await runNode(['scripts/install/gyp_cuda.mjs', 'have', process.arch])).stdout === '1\n';
    const env = {
      npm_config_build_from_source: 'true',
      // Else only where there is a driver.
      TFJS_FTP_CUDA: cuda ? 'ON' : undefined,
      TFJS_FTP_CUDA_ARCHS: '90',
    };
    const { code, stdout, stderr } = await npm(
      ['rebuild', 'tfjs-ftp', '--foreground-scripts', '--ignore-scripts=false'],
      project,
      env,
    );
    expect(code, stderr).toBe(0);
    const build = path.join(installed, 'build', 'Release', 'tfjs_ftp.node');
    expect(stdout).toContain(`built ${build}, with${cuda ? '' : 'out'} CUDA kernels`);
    expect((await doctor()).report.addon).toMatchObject({ path: build, cuda: { built: cuda } });
    fs.rmSync(path.join(installed, 'build'), { recursive: true });
  },
  15 * 60_000,
);

packageTest('a build that is broken does not get in the way', async () => {
  const broken = path.join(installed, 'build', 'Release', 'tfjs_ftp.node');
  fs.mkdirSync(path.dirname(broken), { recursive: true });
  fs.writeFileSync(broken, 'half a build');
  const { report, text } = await doctor();
  expect(report.addon).toMatchObject({ found: true, path: prebuild() });
  expect(report.problems).toEqual([]);
  expect(text).toMatch(/note +\S*build\/Release\/tfjs_ftp\.node was passed over/);
});
