// setup-tensorflow on a stand-in for the tfjs-node package: no network, no compiler, and the real node_modules stays
// untouched. That the real thing works is what every test on tfjs-node shows.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type FakeProject,
  fakeProject,
  INSTALL_SCRIPTS,
  listTree,
  programFolder,
  root,
  runNode,
  start,
  temporaryFolder,
  writeBinding,
} from './support.js';

const script = path.join(root, 'scripts', 'tensorflow', 'setup_tensorflow.mjs');
const NOWHERE = 'http://127.0.0.1:9/';

/** A host that answers, for the install script's probe. */
async function listeningHost(): Promise<string> {
  const server = http.createServer((_request, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function environment(fake: FakeProject, host: string, extra: Record<string, string | undefined> = {}) {
  const without = { TFJS_NODE_BASE_URI: undefined, HTTPS_PROXY: undefined, https_proxy: undefined };
  return { ...without, TFJS_NODE_CDN_STORAGE: host, FAKE_INSTALL_LOG: fake.log, ...extra };
}

function setup(fake: FakeProject, args: string[], env: Record<string, string | undefined>) {
  return runNode([script, ...args], { cwd: fake.project, env });
}

/** A pip that cannot find anything, which writes into its target folder before it fails. */
const failingPip = () =>
  programFolder({
    python3: `case "$*" in
      *version_info*) echo 3 ;;
      *--version*) echo pip 1.0 ;;
      *) echo "ERROR: No matching distribution found for tensorflow-cpu" >&2; exit 1 ;;
    esac`,
  });

describe('when there is nothing to do', () => {
  test('a binding that runs is verified once and remembered until it changes', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.fails);
    const binding = writeBinding(fake.directory);
    const env = environment(fake, NOWHERE);
    const first = await setup(fake, [], env);
    expect(first.stdout).toMatch(/TensorFlow 9\.9\.9-fake is ready .*loaded, ran an op/);
    expect(first.stdout.trim().split('\n')).toHaveLength(1);
    const second = await setup(fake, [], env);
    expect(second.stdout).toMatch(/9\.9\.9-fake is ready .*verified before/);
    fs.writeFileSync(binding, 'another binding');
    const third = await setup(fake, [], env);
    expect(third.stdout).toMatch(/loaded, ran an op/);
    expect([first.code, second.code, third.code]).toEqual([0, 0, 0]);
  });
});

describe("the package's own install script", () => {
  test('is used where its host answers, and its result is moved into place', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.works);
    const { code, stdout } = await setup(fake, [], environment(fake, await listeningHost()));
    expect(stdout).toContain('has no binding yet');
    expect(stdout).toMatch(/is ready .*own install script/);
    expect(code).toBe(0);
    expect(listTree(fake.directory).map((line) => line.split(' ')[0])).toEqual([
      'deps/.tfjs_ftp_verified.json',
      'deps/lib/libtensorflow.so',
      'dist/index.js',
      'lib/napi-v8/tfjs_binding.node',
      'package.json',
      'scripts/install.js',
    ]);
  });

  test('replaces a binding that does not run, and with --force one that does', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.works);
    const binding = writeBinding(fake.directory, 'broken');
    const env = environment(fake, await listeningHost());
    const repaired = await setup(fake, [], env);
    expect(repaired.stdout).toContain('does not run: Error: invalid ELF header');
    expect(fs.readFileSync(binding, 'utf8')).toBe('binding');
    await setup(fake, [], env);
    expect(fs.readFileSync(fake.log, 'utf8')).toBe('installed cpu\n');
    await setup(fake, ['--force'], env);
    expect(fs.readFileSync(fake.log, 'utf8')).toBe('installed cpu\ninstalled cpu\n');
  });

  test('runs once when two set-ups start together', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.works);
    const env = environment(fake, await listeningHost());
    const outcomes = await Promise.all([setup(fake, [], env), setup(fake, [], env)]);
    for (const { code, stdout } of outcomes) {
      expect(stdout).toContain('TensorFlow 9.9.9-fake is ready');
      expect(code).toBe(0);
    }
    expect(fs.readFileSync(fake.log, 'utf8')).toBe('installed cpu\n');
  });

  test('Ctrl-C ends it and leaves the package as it was', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.hangs);
    const before = listTree(fake.directory);
    const running = start(process.execPath, [script], {
      cwd: fake.project,
      env: environment(fake, await listeningHost()),
    });
    await running.sees('own install script (');
    while (!fs.existsSync(fake.log) || fs.readFileSync(fake.log, 'utf8') === '') {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    running.kill('SIGINT');
    expect((await running.outcome).code).toBe(130);
    expect(listTree(fake.directory)).toEqual(before);
    const installer = Number(fs.readFileSync(fake.log, 'utf8'));
    await expect.poll(() => isAlive(installer)).toBe(false);
  });
});

describe('when TensorFlow cannot be had', () => {
  test('every way is named with its reason, and the package stays as it was', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.fails);
    const before = listTree(fake.directory);
    const path_ = `${failingPip()}:${process.env.PATH}`;
    const env = environment(fake, await listeningHost(), { PATH: path_ });
    const { code, stdout, stderr } = await setup(fake, [], env);
    expect(code).toBe(1);
    expect(stdout).toMatch(/own install script: .*ended without a binding\n.*download broke off/);
    expect(stdout).toMatch(
      /TensorFlow wheel: pip could not download tensorflow-cpu\n.*No matching distribution/,
    );
    expect(stderr).toContain('TensorFlow could not be set up; tried: own install script, TensorFlow wheel');
    expect(stderr).toContain('--from-wheel FILE');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(listTree(fake.directory)).toEqual(before);
  });

  test('a host that refuses is told apart from an install script that fails', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.works);
    const env = environment(fake, NOWHERE, { PATH: failingPip() });
    const { code, stdout } = await setup(fake, [], env);
    expect(stdout).toContain('own install script: 127.0.0.1:9 cannot be reached (ECONNREFUSED)');
    expect(fs.existsSync(fake.log)).toBe(false);
    expect(code).toBe(1);
  });

  test.each([
    ['Python 3', {}, /Python 3 was not found/],
    ['pip', { python3: 'case "$*" in *version_info*) echo 3 ;; *) exit 1 ;; esac' }, /pip was not found/],
  ])('without %s it says what to install', async (_name, programs, message) => {
    const fake = fakeProject(INSTALL_SCRIPTS.fails);
    const before = listTree(fake.directory);
    const { code, stdout, stderr } = await setup(
      fake,
      [],
      environment(fake, NOWHERE, { PATH: programFolder(programs) }),
    );
    expect(stdout).toMatch(message);
    expect(stderr).toContain('apt-get install -y g++ make python3 python3-pip');
    expect(code).toBe(1);
    expect(listTree(fake.directory)).toEqual(before);
  });

  test('a project without tfjs-node is told how to install it', async () => {
    // A copy of the scripts outside the repository: beside it tfjs-node would be found in our own node_modules.
    const project = temporaryFolder();
    for (const entry of ['scripts', 'compat.cjs']) {
      fs.cpSync(path.join(root, entry), path.join(project, entry), { recursive: true });
    }
    const copy = path.join(project, 'scripts', 'tensorflow', 'setup_tensorflow.mjs');
    const { code, stderr } = await runNode([copy], { cwd: project });
    expect(stderr).toContain(`@tensorflow/tfjs-node is not installed in ${project}`);
    expect(stderr).toContain('npm install --ignore-scripts @tensorflow/tfjs-node');
    expect(code).toBe(1);
    const gpu = await runNode([copy, '--gpu'], { cwd: project });
    expect(gpu.stderr).toContain('@tensorflow/tfjs-node-gpu is not installed');
  });
});

describe('--from-wheel and --skip-download', () => {
  test('a missing wheel, and a file that is no TensorFlow wheel', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.works);
    const before = listTree(fake.directory);
    const env = environment(fake, NOWHERE);
    const missing = await setup(fake, ['--from-wheel', 'none.whl'], env);
    expect(missing.stderr).toContain('--from-wheel: there is no file none.whl');
    const wheel = path.join(fake.project, 'numpy-1.0-py3-none-any.whl');
    const zip = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('numpy/a.py', '')";
    execFileSync('python3', ['-c', zip, wheel]);
    const other = await setup(fake, ['--from-wheel', wheel], env);
    expect(other.stdout).toContain(
      'has no tensorflow/libtensorflow_cc.so.2 and no tensorflow/libtensorflow_',
    );
    expect(other.stderr).toContain('could not be set up; tried: given wheel');
    expect([missing.code, other.code]).toEqual([1, 1]);
    expect(listTree(fake.directory)).toEqual(before);
    expect(fs.existsSync(wheel)).toBe(true);
  });

  test('--skip-download touches no network and says what is missing', async () => {
    const fake = fakeProject(INSTALL_SCRIPTS.works);
    const { code, stdout } = await setup(fake, ['--skip-download'], environment(fake, await listeningHost()));
    expect(stdout).toContain(`there is no libtensorflow in ${path.join(fake.directory, 'deps')}`);
    expect(fs.existsSync(fake.log)).toBe(false);
    expect(code).toBe(1);
  });

  test('an unknown option is refused with the help', async () => {
    const { code, stderr } = await runNode([script, '--cuda']);
    expect(stderr).toContain("Unknown option '--cuda'");
    expect(stderr).toContain('--from-wheel FILE');
    expect(code).toBe(1);
  });
});

test('what a killed set-up left behind is cleared away', async () => {
  const fake = fakeProject(INSTALL_SCRIPTS.works);
  const dead = start(process.execPath, ['-e', 'console.log(process.pid)'], {});
  const pid = Number((await dead.outcome).stdout);
  fs.writeFileSync(path.join(fake.directory, '.tfjs_ftp_lock'), JSON.stringify({ pid, host: os.hostname() }));
  fs.mkdirSync(path.join(fake.directory, '.tfjs_ftp_stage_abc123', 'deps'), { recursive: true });
  fs.writeFileSync(path.join(fake.directory, '.tfjs_ftp_stage_abc123', 'deps', 'half'), '');
  const { code } = await setup(fake, [], environment(fake, await listeningHost()));
  expect(code).toBe(0);
  expect(fs.readdirSync(fake.directory).filter((name) => name.startsWith('.tfjs_ftp'))).toEqual([]);
});

/** Whether a process runs; one that has ended and waits for its parent to notice does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !(fs.existsSync(stat) && /\) Z /.test(fs.readFileSync(stat, 'utf8')));
  } catch {
    return false;
  }
}
