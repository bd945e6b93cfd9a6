// `tfjs-ftp doctor`, and what else the command does, on this installation, and on projects made to be broken in one way.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findNvidiaDriver } from '../../scripts/install/nvidia_driver.mjs';
import type { DoctorReport } from '../../src/cli/doctor.js';
import { fakeProject, programFolder, root, runNode, temporaryFolder, writeBinding } from './support.js';

const main = path.join(root, 'dist', 'cli', 'main.js');
const built = fs.existsSync(path.join(root, 'build', 'Release', 'tfjs_ftp.node'));

async function doctor(cwd: string, env: Record<string, string | undefined> = {}) {
  const { code, stdout, stderr } = await runNode([main, 'doctor', '--json'], { cwd, env });
  expect(stderr).toBe('');
  return { code, report: JSON.parse(stdout) as DoctorReport };
}

/** A package folder with nothing but its manifest. */
function writePackage(
  project: string,
  name: string,
  version: string,
  peerDependencies: Record<string, string> = {},
): string {
  const folder = path.join(project, 'node_modules', name);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ name, version, main: 'index.js', peerDependencies }),
  );
  return folder;
}

/** The package as it lies in node_modules where its install script did not run: no addon. */
function installedCopy(): string {
  const folder = temporaryFolder();
  for (const entry of ['package.json', 'load_addon.cjs', 'compat.cjs', 'dist', 'scripts']) {
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true });
  }
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}

async function copyDoctor(folder: string, env: Record<string, string | undefined> = {}) {
  const { code, stdout, stderr } = await runNode(['dist/cli/main.js', 'doctor', '--json'], {
    cwd: folder,
    env: { TFJS_FTP_ADDON: undefined, ...env },
  });
  expect(stderr).toBe('');
  return { code, report: JSON.parse(stdout) as DoctorReport };
}

describe('on this installation', () => {
  test.skipIf(!built)('finds the addon and says how it was built (needs the addon)', async () => {
    const { report } = await doctor(root, { TFJS_FTP_ADDON: undefined });
    expect(report.addon).toMatchObject({ found: true, path: path.join(root, 'build/Release/tfjs_ftp.node') });
    expect(['avx512', 'avx2', 'sse2', 'neon', 'scalar']).toContain(report.addon.build?.simd);
    expect(report.addon.build?.threads).toBeGreaterThanOrEqual(1);
    expect(report.implementations.wasm?.implementation).toBe('wasm');
    expect(report.implementations.cpu?.implementation).toBe('cpu');
    expect(report.implementations.webgl?.implementation).toBe('reference');
    expect(report.tfjsCore).toHaveLength(1);
  });

  test('the report for people says the same', async () => {
    const { code, report } = await doctor(root);
    const { stdout, code: sameCode } = await runNode([main, 'doctor'], { cwd: root });
    expect(sameCode).toBe(code);
    for (const [backend, { implementation, reason }] of Object.entries(report.implementations)) {
      expect(stdout).toMatch(new RegExp(`^ {2}${backend} +${implementation} `, 'm'));
      expect(stdout).toContain(`(${reason})`);
    }
    for (const problem of report.problems) expect(stdout).toContain(problem);
  });
});

describe('without parts', () => {
  test('an addon that is switched off is no problem, but is said: backends get the reference implementation', async () => {
    const { code, report } = await doctor(root, { TFJS_FTP_ADDON: 'none' });
    expect(report.addon).toMatchObject({ found: false, tried: [{ reason: 'switched off' }] });
    expect(report.implementations.wasm).toEqual({
      implementation: 'reference',
      reason: 'the addon was not found',
    });
    expect(report.implementations.cpu?.implementation).toBe('reference');
    expect(report.problems.filter((problem) => problem.includes('addon'))).toEqual([]);
    expect(report.notes.join('\n')).toContain('TFJS_FTP_ADDON=none switches the addon off');
    expect(code).toBe(report.problems.length > 0 ? 1 : 0);
  });

  test('a TFJS_FTP_ADDON that cannot be loaded is a problem: the variable is to be corrected', async () => {
    const broken = path.join(temporaryFolder(), 'broken.node');
    fs.writeFileSync(broken, 'not an addon');
    const advice = 'TFJS_FTP_ADDON names it: correct that variable, or unset it';
    for (const [file, reason] of [
      [broken, broken],
      ['/nowhere/addon.node', 'no such file'],
    ]) {
      const { code, report } = await doctor(root, { TFJS_FTP_ADDON: file });
      const [problem] = report.problems;
      expect(problem).toContain(`the addon ${file} does not load: ${reason}`);
      expect(problem).toContain(advice);
      expect(problem).not.toContain('npm');
      expect(code).toBe(1);
    }
  });

  test('no addon where one can be built is a problem, with how', async () => {
    const folder = installedCopy();
    const compiler = { 'g++': 'exit 0', 'c++': 'exit 0', make: 'exit 0' };
    const env = { PATH: programFolder(compiler), CXX: undefined, npm_config_ignore_scripts: undefined };
    const { code, report } = await copyDoctor(folder, env);
    const slow = `there is no addon for ${process.platform}-${process.arch}, every step runs as the slower reference`;
    expect(report.problems[0]).toContain(slow);
    expect(report.problems[0]).toMatch(/; build it: npm rebuild tfjs-ftp$/);
    expect(report.implementations.cpu?.implementation).toBe('reference');
    expect(code).toBe(1);
    const ignoring = await copyDoctor(folder, { ...env, npm_config_ignore_scripts: 'true' });
    expect(ignoring.report.problems[0]).toMatch(/: npm rebuild tfjs-ftp --ignore-scripts=false$/);
    if (process.platform === 'win32') return;
    const bare = await copyDoctor(folder, { ...env, PATH: temporaryFolder() });
    expect(bare.report.problems[0]).toMatch(
      /install Python 3, make and a C\+\+17 compiler \(\S+ was not found\), then: npm rebuild tfjs-ftp$/,
    );
    expect(bare.code).toBe(1);
  });

  test('an addon that does not load is a problem of its own', async () => {
    const folder = installedCopy();
    const broken = path.join(folder, 'build', 'Release', 'tfjs_ftp.node');
    fs.mkdirSync(path.dirname(broken), { recursive: true });
    fs.writeFileSync(broken, 'half a build');
    const { code, report } = await copyDoctor(folder);
    expect(report.problems[0]).toContain(`the addon ${broken} does not load: ${broken}`);
    expect(report.problems[0]).toContain('rebuild it: npm rebuild tfjs-ftp');
    expect(code).toBe(1);
  });

  test('an addon that refuses the environment is a problem, not a crash', async () => {
    const addon = path.join(temporaryFolder(), 'addon.cjs');
    const refusing = "() => { throw new RangeError('TFJS_FTP_THREADS must be 1 to 1024, got none'); }";
    fs.writeFileSync(addon, `exports.version = '0'; exports.buildInfo = ${refusing};`);
    const { code, report } = await doctor(root, { TFJS_FTP_ADDON: addon });
    expect(report.addon).toMatchObject({ found: true, path: addon });
    expect(report.problems).toContain('TFJS_FTP_THREADS must be 1 to 1024, got none');
    expect(code).toBe(1);
    const { stdout } = await runNode([main, 'doctor'], { cwd: root, env: { TFJS_FTP_ADDON: addon } });
    expect(stdout).toMatch(/^problem +TFJS_FTP_THREADS must be 1 to 1024/m);
  });

  test('settings for a GPU that cannot be followed are problems', async () => {
    const order = await doctor(root, { TFJS_FTP_STREAM_ORDER: 'legcay' });
    const message = "TFJS_FTP_STREAM_ORDER must be legacy, synchronize or events, got 'legcay'";
    expect(order.report.problems).toContain(message);
    expect(order.code).toBe(1);
    // The addon's own words.
    const [start = ''] = message.split("'");
    expect(fs.readFileSync(path.join(root, 'native/op/stream_order.cc'), 'utf8')).toContain(start);
    const { report } = await doctor(root, { TFJS_FTP_GPU: '1', TFJS_FTP_ADDON: undefined });
    const asked = report.problems.filter((problem) => problem.startsWith('TFJS_FTP_GPU is 1, but no GPU'));
    expect(asked).toHaveLength(report.addon.cuda?.available === false ? 1 : 0);
  });

  test.skipIf(!built || findNvidiaDriver(process.env) !== null)(
    'CUDA kernels without a driver say just that (needs the addon and no driver)',
    async () => {
      const { report } = await doctor(root, { TFJS_FTP_ADDON: undefined });
      const reasons = ['no NVIDIA driver', 'this addon was built without CUDA'];
      expect(reasons).toContain(report.addon.cuda?.reason);
      const { stdout } = await runNode([main, 'doctor'], { cwd: root, env: { TFJS_FTP_ADDON: undefined } });
      expect(stdout).toMatch(
        /CUDA kernels \(runtime [\d.]+\) cannot run: no NVIDIA driver|TFJS_FTP_CUDA=ON npm run build:addon/,
      );
    },
  );

  test('a tfjs-node that does not load is a problem, with what to do', async () => {
    const { project, directory } = fakeProject('');
    const { code, report } = await doctor(project);
    expect(report.tfjsNode[0]).toMatchObject({ version: '0.0.1', path: directory, probe: { loads: false } });
    expect(report.tfjsNode[0]?.probe.reason).toContain('no binding at');
    expect(report.implementations.tensorflow).toEqual({
      implementation: 'none',
      reason: 'tfjs-node does not load',
    });
    expect(report.problems.join('\n')).toContain('npx tfjs-ftp setup-tensorflow');
    expect(code).toBe(1);
    writeBinding(directory, 'broken');
    const second = await doctor(project);
    expect(second.report.tfjsNode[0]?.probe.reason).toContain('invalid ELF header');
  });

  test('two copies of tfjs-core are a problem, with both places', async () => {
    const { project } = fakeProject('');
    const ours = fs.realpathSync(path.join(root, 'node_modules/@tensorflow/tfjs-core'));
    const theirs = writePackage(project, '@tensorflow/tfjs-core', '4.1.0');
    const { code, report } = await doctor(project);
    expect(report.tfjsCore.map(({ path: where }) => where).sort()).toEqual([ours, theirs].sort());
    const problem = report.problems.find((text) => text.includes('copies of @tensorflow/tfjs-core'));
    expect(problem).toContain(`4.1.0 in ${theirs}`);
    expect(problem).toContain('npm dedupe');
    expect(code).toBe(1);
  });

  test("another project's packages in a folder above are none of this project's", async () => {
    const { project: above } = fakeProject('');
    writePackage(above, '@tensorflow/tfjs-core', '4.1.0');
    const layers = writePackage(above, '@tensorflow/tfjs-layers', '4.1.0', {
      '@tensorflow/tfjs-core': '4.1.0',
    });
    const project = path.join(above, 'packages', 'mine');
    fs.mkdirSync(path.join(project, 'node_modules', '@tensorflow'), { recursive: true });
    const manifest = (dependencies: Record<string, string>) =>
      fs.writeFileSync(
        path.join(project, 'package.json'),
        JSON.stringify({ version: '1.0.0', dependencies }),
      );
    manifest({ '@tensorflow/tfjs-core': '^4.22.0' });
    const ours = fs.realpathSync(path.join(root, 'node_modules/@tensorflow/tfjs-core'));
    fs.symlinkSync(ours, path.join(project, 'node_modules', '@tensorflow', 'tfjs-core'));
    const { report } = await doctor(project);
    expect(report.tfjsCore.map(({ path: where }) => where)).toEqual([ours]);
    expect(report.problems.join('\n')).not.toContain('copies of');
    // From the clone itself, not the one above.
    expect(report.tfjsNode.map(({ version }) => version)).not.toContain('0.0.1');

    // A package that this project names is its own wherever it lies: here it brings the other copy.
    manifest({ '@tensorflow/tfjs-core': '^4.22.0', '@tensorflow/tfjs-layers': '^4.1.0' });
    const { report: naming } = await doctor(project);
    expect(naming.tfjsCore).toHaveLength(2);
    expect(naming.problems.join('\n')).toContain('2 copies of @tensorflow/tfjs-core');
    expect(naming.problems.join('\n')).toContain(path.dirname(layers));
  });

  test('a copy inside a package that the project uses is found', async () => {
    const { project } = fakeProject('');
    const layers = writePackage(project, '@tensorflow/tfjs-layers', '4.1.0', {
      '@tensorflow/tfjs-core': '4.1.0',
    });
    const inside = writePackage(layers, '@tensorflow/tfjs-core', '4.1.0');
    const { report } = await doctor(project);
    expect(report.tfjsCore.map(({ path: where }) => where)).toContain(inside);
    expect(report.tfjsCore).toHaveLength(2);
  });
});

test('the help says what the exit codes mean', async () => {
  const { code, stdout } = await runNode([main, 'doctor', '--help']);
  expect(stdout).toMatch(/Exit code 0: nothing is broken.*\n.*Exit code 1: there is at least one problem/);
  expect(code).toBe(0);
});

describe('demo and bench in an installed package', () => {
  test.each(['demo', 'bench'])('%s --help says that it runs in a clone, and how', async (tool) => {
    const folder = installedCopy();
    const ask = (args: string[]) => runNode(['dist/cli/main.js', tool, ...args], { cwd: folder });
    const text = `tfjs-ftp: ${tool} runs in a clone of the repository`;
    const help = await ask(['--help']);
    expect(help.stdout).toContain(text);
    expect(help.stdout).toContain(`npm ci\n  npm run ${tool} -- --help`);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    const run = await ask([]);
    expect(run.stderr).toContain(text);
    expect(run).toMatchObject({ code: 1, stdout: '' });
  });
});
