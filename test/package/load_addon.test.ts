// load_addon.cjs and scripts/install/install.mjs, in child processes and temporary copies of the package.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findNvidiaDriver } from '../../scripts/install/nvidia_driver.mjs';
import { programFolder, root, runNode, start, temporaryFolder } from './support.js';

const built = path.join(root, 'build', 'Release', 'tfjs_ftp.node');
const platformFolder = `${process.platform}-${process.arch}`;

interface Loaded {
  found: boolean;
  path?: string;
  version?: string;
  error?: string;
  tried: Array<{ path: string; reason: string }>;
}

/** What load_addon.cjs says about a package folder, asked in a process of its own. */
async function load(folder: string, addon?: string): Promise<Loaded> {
  const script = `
    const { addon, path, error, tried } = require(${JSON.stringify(path.join(root, 'load_addon.cjs'))})(${JSON.stringify(folder)});
    console.log(JSON.stringify({ found: addon !== undefined, version: addon?.version, path, error: error?.message, tried }));`;
  const { code, stdout, stderr } = await runNode(['-e', script], { env: { TFJS_FTP_ADDON: addon } });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Loaded;
}

function writeFile(folder: string, file: string, content: string): string {
  const target = path.join(folder, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, content);
  return target;
}

describe('load_addon.cjs', () => {
  test('names every place where it looked in vain', async () => {
    const folder = temporaryFolder();
    const { found, error, tried } = await load(folder);
    expect(found).toBe(false);
    expect(error).toBe('the compiled addon was not found');
    expect(tried).toEqual([
      { path: path.join(folder, 'build', 'Release', 'tfjs_ftp.node'), reason: 'no such file' },
      { path: path.join(folder, 'build', 'Debug', 'tfjs_ftp.node'), reason: 'no such file' },
      { path: path.join(folder, 'prebuilds', platformFolder), reason: 'no such folder' },
    ]);
  });

  test('a file that is no addon gives its reason, and the search goes on', async () => {
    const folder = temporaryFolder();
    const broken = writeFile(folder, 'build/Release/tfjs_ftp.node', 'not an ELF file');
    const { found, error, tried } = await load(folder);
    expect(found).toBe(false);
    expect(tried).toHaveLength(3);
    expect(tried[0]?.path).toBe(broken);
    expect(tried[0]?.reason).toContain(broken);
    expect(error).toBe(tried[0]?.reason);
  });

  test('prebuilds for another platform are not taken', async () => {
    const folder = temporaryFolder();
    writeFile(folder, 'prebuilds/plan9-mips/node.napi.node', '');
    const { tried } = await load(folder);
    expect(tried[2]).toEqual({
      path: path.join(folder, 'prebuilds', platformFolder),
      reason: 'no such folder',
    });
  });

  test('TFJS_FTP_ADDON names the only file that is tried', async () => {
    const folder = temporaryFolder();
    const missing = path.join(folder, 'elsewhere.node');
    expect(await load(root, missing)).toMatchObject({
      found: false,
      tried: [{ path: missing, reason: 'no such file' }],
    });
    expect(await load(root, 'none')).toMatchObject({
      found: false,
      tried: [{ path: 'TFJS_FTP_ADDON=none', reason: 'switched off' }],
    });
  });

  test.skipIf(process.platform !== 'linux')('a prebuild for the other C library is not taken', async () => {
    const folder = temporaryFolder();
    const { stdout } = await runNode(['-p', 'process.report.getReport().header.glibcVersionRuntime']);
    const other = stdout.trim() === 'undefined' ? 'glibc' : 'musl';
    writeFile(folder, `prebuilds/${platformFolder}/tfjs-ftp.${other}.node`, '');
    const { tried } = await load(folder);
    expect(tried[2]).toEqual({
      path: path.join(folder, 'prebuilds', platformFolder),
      reason: 'no file for this runtime and C library',
    });
  });

  test.skipIf(!fs.existsSync(built))(
    'a build made here comes before the prebuild, unless it is broken or of another version (needs the addon)',
    async () => {
      const folder = temporaryFolder();
      const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
      const manifest = (of: string) => writeFile(folder, 'package.json', JSON.stringify({ version: of }));
      const local = writeFile(folder, 'build/Release/tfjs_ftp.node', '');
      const prebuild = writeFile(folder, `prebuilds/${platformFolder}/tfjs-ftp.node`, '');
      for (const file of [local, prebuild]) fs.copyFileSync(built, file);
      manifest(version);
      expect(await load(folder)).toMatchObject({ found: true, path: local, tried: [] });

      fs.writeFileSync(local, 'half a build');
      const broken = await load(folder);
      expect(broken).toMatchObject({ found: true, path: prebuild });
      expect(broken.tried[0]?.path).toBe(local);

      fs.copyFileSync(built, local);
      manifest('99.0.0');
      const stale = await load(folder);
      const reason = `made from version ${version} of tfjs-ftp, this is 99.0.0`;
      expect(stale).toMatchObject({ found: false, error: reason });
      expect(stale.tried.filter((entry) => entry.reason === reason).map((entry) => entry.path)).toEqual([
        local,
        prebuild,
      ]);
      // A file that is named is taken as it is.
      expect(await load(folder, local)).toMatchObject({ found: true, path: local });
    },
  );

  test.skipIf(!fs.existsSync(built))(
    'loads a build, a prebuild and a named file (needs the addon)',
    async () => {
      const folder = temporaryFolder();
      const prebuild = path.join(folder, 'prebuilds', platformFolder, 'node.napi.node');
      fs.mkdirSync(path.dirname(prebuild), { recursive: true });
      fs.copyFileSync(built, prebuild);
      const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
      expect(await load(root)).toMatchObject({ found: true, path: built, version });
      expect(await load(folder)).toMatchObject({ found: true, path: prebuild, version });
      expect(await load(temporaryFolder(), prebuild)).toMatchObject({ found: true, path: prebuild, version });
    },
  );
});

/** A package as it lies in node_modules after its download: no build, no prebuilds. */
function packageCopy(): string {
  const folder = temporaryFolder();
  const entries = ['package.json', 'load_addon.cjs', 'compat.cjs', 'scripts', 'native/kernels/cuda/nvcc.txt'];
  for (const entry of entries) {
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true });
  }
  fs.mkdirSync(path.join(folder, 'node_modules'));
  for (const name of ['node-gyp-build', 'node-gyp']) {
    fs.symlinkSync(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name));
  }
  return folder;
}

/** Why no program can be given a terminal of its own; null: it can. */
function whyNoTerminal(): string | null {
  const { status, stdout } = spawnSync('script', ['--version'], { encoding: 'utf8' });
  return status === 0 && stdout.includes('util-linux') ? null : 'no script of util-linux';
}

describe('the install script', () => {
  const install = (folder: string, env: Record<string, string | undefined> = {}) =>
    runNode(['scripts/install/install.mjs'], { cwd: folder, env: { TFJS_FTP_ADDON: undefined, ...env } });

  test('without a compiler it says what will be used instead, and succeeds', async () => {
    const folder = packageCopy();
    const { code, stdout } = await install(folder, { PATH: temporaryFolder(), CXX: undefined });
    expect(stdout).toContain(`there is no prebuilt one for ${platformFolder}, and g++ was not found`);
    expect(stdout).toContain('The reference implementation (tfjs ops) will be used');
    expect(stdout).toContain('apt-get install -y g++ make');
    expect(code).toBe(0);
    expect(fs.existsSync(path.join(folder, 'build'))).toBe(false);
  });

  test('where the build fails it shows why, and succeeds', async () => {
    const folder = packageCopy();
    writeFile(folder, 'binding.gyp', '{"targets": [{"target_name": "tfjs_ftp", "sources": ["broken.cc"]}]}');
    writeFile(folder, 'broken.cc', 'int no_such_type(undeclared x);');
    const { code, stdout } = await install(folder);
    expect(stdout).toContain('no native addon: building it failed');
    expect(stdout).toMatch(/broken\.cc:1:.*undeclared/);
    expect(stdout).toContain('The reference implementation (tfjs ops) will be used');
    expect(code).toBe(0);
  });

  test('a build that does not load counts as none', async () => {
    const folder = packageCopy();
    // A node-gyp that "succeeds" and leaves rubbish.
    const nodeGyp = writeFile(
      folder,
      'fake_node_gyp.cjs',
      "require('fs').mkdirSync('build/Release', {recursive: true}); require('fs').writeFileSync('build/Release/tfjs_ftp.node', 'x');",
    );
    const compiler = programFolder({ 'g++': 'exit 0', make: 'exit 0' });
    const env = { npm_config_node_gyp: nodeGyp, PATH: compiler, CXX: undefined, MAKE: undefined };
    const { code, stdout } = await install(folder, env);
    expect(stdout).toContain('the one that was built does not load');
    expect(code).toBe(0);
  });

  /** A node-gyp that copies the addon to where it belongs, but only under a condition. */
  const fakeBuild = (folder: string, condition: string) =>
    writeFile(
      folder,
      'fake_node_gyp.cjs',
      `const fs = require('fs');
       if (!(${condition})) { console.error('no such luck'); process.exit(1); }
       fs.mkdirSync('build/Release', { recursive: true });
       fs.copyFileSync(${JSON.stringify(built)}, 'build/Release/tfjs_ftp.node');`,
    );

  test.skipIf(!fs.existsSync(built))('says whether CUDA is part of the build (needs the addon)', async () => {
    const folder = packageCopy();
    const env = { npm_config_node_gyp: fakeBuild(folder, 'true'), TFJS_FTP_CUDA: 'OFF' };
    const { code, stdout } = await install(folder, env);
    expect(stdout).toContain('without CUDA kernels: TFJS_FTP_CUDA is OFF. A GPU will not be used');
    expect(stdout).toMatch(/built .*build\/Release\/tfjs_ftp\.node, with(out)? CUDA kernels/);
    expect(code).toBe(0);
  });

  test.skipIf(!fs.existsSync(built) || process.platform !== 'linux')(
    'where the build with CUDA fails it makes one without (Linux, needs the addon)',
    async () => {
      const folder = packageCopy();
      const nvcc = programFolder({ nvcc: 'echo "release 12.8, V12.8.1"' });
      const env = {
        CUDACXX: path.join(nvcc, 'nvcc'),
        TFJS_FTP_CUDA: undefined,
        PATH: `${programFolder({ 'nvidia-smi': 'exit 0' })}:${process.env.PATH}`,
      };
      const once = fakeBuild(folder, "process.env.TFJS_FTP_CUDA === 'OFF'");
      const { code, stdout } = await install(folder, { ...env, npm_config_node_gyp: once });
      expect(stdout).toContain('with CUDA kernels (CUDA 12.8)');
      expect(stdout).toContain('building it with CUDA kernels failed, once more without them');
      expect(stdout).toContain('no such luck');
      expect(stdout).toContain(`built ${path.join(folder, 'build', 'Release', 'tfjs_ftp.node')}`);
      expect(code).toBe(0);

      fs.rmSync(path.join(folder, 'build'), { recursive: true });
      const insisting = await install(folder, { ...env, npm_config_node_gyp: once, TFJS_FTP_CUDA: 'ON' });
      expect(insisting.stdout).toContain('no native addon: building it failed');
      expect(insisting.stdout).not.toContain('once more');
      expect(insisting.code).toBe(0);
    },
  );

  test('an unknown TFJS_FTP_CUDA is refused, before anything is built', async () => {
    const folder = packageCopy();
    const { code, stdout, stderr } = await install(folder, { TFJS_FTP_CUDA: 'yes' });
    expect(stderr).toBe("tfjs-ftp: TFJS_FTP_CUDA must be AUTO, ON, OFF, got 'yes'\n");
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test.skipIf(
    !fs.existsSync(built) || process.platform !== 'linux' || findNvidiaDriver(process.env) !== null,
  )(
    'without an NVIDIA driver it compiles no CUDA kernels, unless they are asked for (Linux without a driver, needs the addon)',
    async () => {
      const folder = packageCopy();
      const nvcc = programFolder({ nvcc: 'echo "release 12.8, V12.8.1"' });
      const env = { CUDACXX: path.join(nvcc, 'nvcc'), TFJS_FTP_CUDA: undefined };
      const off = fakeBuild(folder, "process.env.TFJS_FTP_CUDA === 'OFF'");
      const usual = await install(folder, { ...env, npm_config_node_gyp: off });
      expect(usual.stdout).toContain(
        'without CUDA kernels: there is no NVIDIA driver here (TFJS_FTP_CUDA=ON',
      );
      expect(usual.stdout).toContain(`built ${path.join(folder, 'build', 'Release', 'tfjs_ftp.node')}`);

      fs.rmSync(path.join(folder, 'build'), { recursive: true });
      const on = fakeBuild(folder, "process.env.TFJS_FTP_CUDA === 'ON'");
      const asked = await install(folder, { ...env, npm_config_node_gyp: on, TFJS_FTP_CUDA: 'ON' });
      expect(asked.stdout).toContain('with CUDA kernels (CUDA 12.8)');
      expect(asked.stdout).toContain(`built ${path.join(folder, 'build', 'Release', 'tfjs_ftp.node')}`);
    },
  );

  test('TFJS_FTP_CUDA=ON builds anew where the addon that is there has no CUDA kernels', async () => {
    const folder = packageCopy();
    // An addon as far as anybody looks: which kind it is, and what a build makes of it.
    const addon = (cuda: boolean) => `exports.version = '0'; exports.buildInfo = () => ({ cuda: ${cuda} });`;
    writeFile(
      folder,
      'load_addon.cjs',
      `const path = require('path').join(__dirname, 'build/Release/addon.cjs');
       module.exports = () => ({ addon: require(path), path, tried: [] });`,
    );
    writeFile(folder, 'build/Release/addon.cjs', addon(false));
    const nodeGyp = writeFile(
      folder,
      'fake_node_gyp.cjs',
      `require('fs').writeFileSync('build/Release/addon.cjs', ${JSON.stringify(addon(true))});`,
    );
    const tools = programFolder({ 'g++': '', 'c++': '', make: '', nvcc: 'echo "release 12.8, V12.8.1"' });
    const env = { npm_config_node_gyp: nodeGyp, PATH: tools, CXX: undefined, CUDACXX: undefined };
    const usual = await install(folder, { ...env, TFJS_FTP_CUDA: undefined });
    expect(usual).toMatchObject({ code: 0, stdout: '' });
    if (process.platform !== 'linux') return;
    const { stdout } = await install(folder, { ...env, TFJS_FTP_CUDA: 'ON' });
    expect(stdout).toContain('TFJS_FTP_CUDA is ON, and the one that is there has no CUDA kernels');
    expect(stdout).toMatch(/built \S+, with CUDA kernels/);
    expect(await install(folder, { ...env, TFJS_FTP_CUDA: 'ON' })).toMatchObject({ code: 0, stdout: '' });
  });

  test.skipIf(whyNoTerminal() !== null)(
    'its lines reach the terminal though npm takes its output (needs the program script of util-linux)',
    async () => {
      const folder = packageCopy();
      const slow = writeFile(
        folder,
        'fake_node_gyp.cjs',
        "setTimeout(() => { console.error('no such luck'); process.exit(1); }, 7000);",
      );
      const tools = programFolder({ 'g++': '', 'c++': '', make: '' });
      const env = {
        npm_config_node_gyp: slow,
        PATH: `${tools}:${process.env.PATH}`,
        CXX: undefined,
        TFJS_FTP_ADDON: undefined,
        TFJS_FTP_CUDA: 'OFF',
      };
      /** What stands on the terminal after a run whose output goes into a file, as under npm. */
      const run = async (more: Record<string, string | undefined>) => {
        const command = `'${process.execPath}' scripts/install/install.mjs >hidden 2>&1`;
        const { stdout } = await start('script', ['-qec', command, '/dev/null'], {
          cwd: folder,
          env: { ...env, ...more },
        }).outcome;
        expect(fs.readFileSync(path.join(folder, 'hidden'), 'utf8')).toContain('no such luck');
        return stdout;
      };
      const seen = await run({ CI: undefined });
      expect(seen).toContain('tfjs-ftp: building the native addon (no prebuilt one for');
      expect(seen).toMatch(/tfjs-ftp: still compiling, \d+ s so far/);
      expect(seen).toContain('tfjs-ftp: no native addon: building it failed');
      expect(await run({ CI: 'true' })).toBe('');
    },
  );

  test.skipIf(!fs.existsSync(built))(
    'builds beside a prebuild where that is asked for (needs the addon)',
    async () => {
      const folder = packageCopy();
      const prebuild = writeFile(folder, `prebuilds/${platformFolder}/tfjs-ftp.node`, '');
      fs.copyFileSync(built, prebuild);
      const asked = { npm_config_build_from_source: 'true' };
      const failed = await install(folder, {
        ...asked,
        npm_config_node_gyp: fakeBuild(folder, 'false'),
      });
      expect(failed.stdout).toContain('not built: building it failed');
      expect(failed.stdout).toContain(`The one that is there will be used: ${prebuild}`);
      const { stdout } = await install(folder, {
        ...asked,
        npm_config_node_gyp: fakeBuild(folder, 'true'),
      });
      expect(stdout).toContain('building the native addon (as asked for)');
      expect(stdout).toContain(`built ${path.join(folder, 'build', 'Release', 'tfjs_ftp.node')}`);
    },
  );

  test.skipIf(!fs.existsSync(built))('says nothing where a prebuild loads (needs the addon)', async () => {
    const folder = packageCopy();
    const prebuild = path.join(folder, 'prebuilds', platformFolder, 'node.napi.node');
    fs.mkdirSync(path.dirname(prebuild), { recursive: true });
    fs.copyFileSync(built, prebuild);
    const outcome = await install(folder, { PATH: temporaryFolder() });
    expect(outcome).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });
});
