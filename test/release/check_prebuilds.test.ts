// scripts/release/check_prebuilds.mjs finds what a prebuild must not have, on small libraries made for the purpose.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { root, runNode, temporaryFolder } from '../package/support.js';

const check = (folder: string, ...args: string[]) =>
  runNode([path.join(root, 'scripts', 'release', 'check_prebuilds.mjs'), '--dir', folder, ...args]);

/** Where a prebuild for `target` belongs below `folder`. */
function prebuildFile(folder: string, target: string): string {
  const file = path.join(folder, 'prebuilds', target, 'tfjs-ftp.node');
  fs.mkdirSync(path.dirname(file), { recursive: true });
  return file;
}

const compiler = process.env.CXX || 'g++';
const noCompiler =
  process.platform !== 'linux' || [compiler, 'readelf'].some((tool) => spawnSync(tool, ['--version']).error);

function compile(source: string, output: string, ...options: string[]): void {
  const file = path.join(temporaryFolder(), 'source.cc');
  fs.writeFileSync(file, source);
  const { status, stderr } = spawnSync(compiler, ['-shared', '-fPIC', file, '-o', output, ...options], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
}

/** The two functions that a Node-API module has. */
const MODULE = `extern "C" {
  void napi_register_module_v1() {}
  int node_api_module_get_api_version_v1() { return 8; }
}`;

describe.skipIf(noCompiler)('prebuilds for Linux (needs g++ and readelf)', () => {
  test('a module that needs the C library alone is good', async () => {
    const folder = temporaryFolder();
    compile(MODULE, prebuildFile(folder, `linux-${process.arch}`));
    const { code, stdout, stderr } = await check(folder, '--baseline', 'manylinux_2_28');
    expect(stderr).toBe('');
    expect(stdout).toContain('check:prebuilds: 1 files fit manylinux_2_28');
    expect(code).toBe(0);
  });

  test('other libraries, search paths, exports and machines are named', async () => {
    const folder = temporaryFolder();
    const other = path.join(temporaryFolder(), 'libother.so');
    compile('int other() { return 1; }', other);
    const arch = process.arch === 'x64' ? 'arm64' : 'x64';
    compile(
      'int other(); extern "C" int cudaMalloc() { return other(); }',
      prebuildFile(folder, `linux-${arch}`),
      ...[`-L${path.dirname(other)}`, '-lother', '-Wl,-rpath,/opt/cuda/lib', '-Wl,-soname,libother.so'],
    );
    const { code, stderr } = await check(folder);
    const problems = [
      /built for .*, the folder is for /,
      /: needs .*libother\.so$/m,
      /looks for libraries in \/opt\/cuda\/lib/,
      /exports cudaMalloc/,
      /does not export napi_register_module_v1/,
      /does not export node_api_module_get_api_version_v1/,
      /check:prebuilds: 6 problems against debian_12/,
    ];
    for (const problem of problems) expect(stderr).toMatch(problem);
    expect(code).toBe(1);
  });

  test('symbols that are newer than the baseline are named', async () => {
    const folder = temporaryFolder();
    // A library whose symbols have versions of its own, under the name of one that is allowed.
    const libm = path.join(temporaryFolder(), 'libm.so.6');
    const script = path.join(temporaryFolder(), 'versions.map');
    fs.writeFileSync(script, 'GLIBC_2.4 { old; }; GLIBC_2.36 { future; } GLIBC_2.4; OTHER_1.0 { own; };');
    const functions = ['old', 'future', 'own'];
    compile(
      functions.map((name) => `extern "C" int ${name}() { return 1; }`).join('\n'),
      libm,
      ...[`-Wl,--version-script=${script}`, '-Wl,-soname,libm.so.6'],
    );
    const uses = functions.map((name) => `extern "C" int ${name}();`).join('\n');
    compile(
      `${uses}\n${MODULE.replace('return 8', 'return old() + future() + own()')}`,
      prebuildFile(folder, `linux-${process.arch}`),
      ...['-nodefaultlibs', libm],
    );
    const { code, stderr } = await check(folder);
    expect(stderr).toContain('needs GLIBC_2.36, at most 2.35 is allowed');
    expect(stderr).toContain('needs symbols of OTHER_1.0, of which no version is allowed');
    expect(code).toBe(1);
    expect((await check(folder, '--baseline', 'any')).stderr).not.toContain('GLIBC');
  });

  test('a file that is no library is refused', async () => {
    const folder = temporaryFolder();
    fs.writeFileSync(prebuildFile(folder, 'linux-x64'), 'not an ELF file');
    const { code, stderr } = await check(folder);
    expect(stderr).toMatch(/readelf cannot read .*tfjs-ftp\.node/);
    expect(code).toBe(1);
  });
});

test('files of other systems are listed as not examined', async () => {
  const folder = temporaryFolder();
  fs.writeFileSync(prebuildFile(folder, 'win32-x64'), 'MZ');
  const { code, stdout } = await check(folder);
  expect(stdout).toContain('win32-x64/tfjs-ftp.node: 2 bytes; not an ELF file, not examined');
  expect(code).toBe(0);
});

test('no prebuilds, and an unknown baseline, are errors', async () => {
  const empty = await check(temporaryFolder());
  expect(empty.stderr).toMatch(/holds no prebuilds\n.*npm run prebuild/);
  expect(empty.code).toBe(1);
  const unknown = await check(temporaryFolder(), '--baseline', 'debian_3');
  expect(unknown.stderr).toContain('--baseline must be debian_12, manylinux_2_28, any, got debian_3');
  expect(unknown.code).toBe(1);
});
