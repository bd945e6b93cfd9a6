// load_addon.cjs and scripts/install.mjs, in child processes and temporary copies of the package.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { programFolder, root, runNode, temporaryFolder } from './support.js';

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
  for (const entry of ['package.json', 'load_addon.cjs', 'compat.cjs', 'scripts']) {
    fs.cpSync(path.join(root, entry), path.join(folder, entry), { recursive: true });
  }
  fs.mkdirSync(path.join(folder, 'node_modules'));
  for (const name of ['node-gyp-build', 'node-gyp']) {
    fs.symlinkSync(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name));
  }
  return folder;
}

describe('the install script', () => {
  const install = (folder: string, env: Record<string, string | undefined> = {}) =>
    runNode(['scripts/install.mjs'], { cwd: folder, env: { TFJS_FTP_ADDON: undefined, ...env } });

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

  test.skipIf(!fs.existsSync(built))('says nothing where a prebuild loads (needs the addon)', async () => {
    const folder = packageCopy();
    const prebuild = path.join(folder, 'prebuilds', platformFolder, 'node.napi.node');
    fs.mkdirSync(path.dirname(prebuild), { recursive: true });
    fs.copyFileSync(built, prebuild);
    const outcome = await install(folder, { PATH: temporaryFolder() });
    expect(outcome).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });
});
