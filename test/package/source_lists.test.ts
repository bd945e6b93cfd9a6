// CMakeLists.txt and binding.gyp build the same addon: the same sources, the same options.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { expect, test } from 'vitest';
import { root } from './support.js';

interface GypTarget {
  target_name: string;
  sources?: string[];
  defines?: string[];
  cflags_cc?: string[];
  conditions?: Array<[string, Partial<GypTarget>, Partial<GypTarget>?]>;
}

interface GypFile {
  target_defaults: { cflags_cc: string[] };
  targets: GypTarget[];
  conditions: Array<[string, { targets: GypTarget[] }]>;
}

const read = (file: string) => fs.readFileSync(path.join(root, file), 'utf8');

/** A gyp file is a Python literal; without its comments this one is a JavaScript literal too. */
const gyp = vm.runInNewContext(`(${read('binding.gyp').replace(/^\s*#.*$/gm, '')})`) as GypFile;
const gypTargets = [...gyp.targets, ...gyp.conditions.flatMap(([, { targets }]) => targets)];
const cmake = read('CMakeLists.txt') + read('cmake/cuda.cmake');

function gypTarget(name: string): GypTarget {
  const target = gypTargets.find(({ target_name }) => target_name === name);
  expect(target, name).toBeDefined();
  return target as GypTarget;
}

/** Source files of this project's own in CMake's `command(name ...)`, those of variables in it included. */
function cmakeSources(command: 'add_library' | 'target_sources' | 'set' | 'list', name: string): string[] {
  const start = command === 'list' ? `list\\(APPEND ${name}` : `${command}\\(${name}`;
  const lists = [...cmake.matchAll(new RegExp(`${start}\\s([^)]*)\\)`, 'g'))].map(([, list = '']) => list);
  const own = lists.flatMap((list) => list.match(/native\/\S+\.(cc|cu)/g) ?? []);
  const variables = lists.flatMap((list) => [...list.matchAll(/\$\{(\w+)\}/g)].map(([, used = '']) => used));
  return [...own, ...variables.flatMap((used) => cmakeSources('set', used))]
    .filter((file) => !file.startsWith('native/test/'))
    .sort();
}

test('the addon is made from the same files', () => {
  const { sources } = gypTarget('tfjs_ftp');
  const expected = [
    ...cmakeSources('add_library', 'tfjs_ftp'),
    ...cmakeSources('add_library', 'tfjs_ftp_kernels'),
  ];
  expect(sources?.toSorted()).toEqual(expected.sort());
});

test('so are its CUDA parts', () => {
  expect(gypTarget('ftp_cuda').sources?.toSorted()).toEqual(cmakeSources('add_library', 'tfjs_ftp_cuda'));
  const [, withCuda] = gypTarget('tfjs_ftp').conditions?.find(([condition]) => condition === 'cuda==1') ?? [];
  const expected = [
    ...cmakeSources('target_sources', 'tfjs_ftp'),
    ...cmakeSources('list', 'TFJS_FTP_OP_SOURCES'),
  ];
  expect(withCuda?.sources?.toSorted()).toEqual(expected.sort());
});

test('no file of native/ is left out', () => {
  const files = fs
    .readdirSync(path.join(root, 'native'), { recursive: true, encoding: 'utf8' })
    .map((file) => path.posix.join('native', file.replaceAll(path.sep, '/')))
    .filter((file) => /\.(cc|cu)$/.test(file) && !/^native\/(test|bench)\//.test(file));
  const built = gypTargets.flatMap(({ sources = [], conditions = [] }) => [
    ...sources,
    ...conditions.flatMap(([, { sources: more = [] }]) => more),
  ]);
  expect([...new Set(built)].sort()).toEqual(files.sort());
});

test('the passes are compiled for the same instruction sets with the same options', () => {
  const calls = [...cmake.matchAll(/^ +tfjs_ftp_passes\((\w+) (\w+) ?([^)]*)\)/gm)];
  expect(calls.map(([, , name]) => name)).toEqual(['sse2', 'avx2', 'avx512', 'neon', 'scalar']);
  for (const [, table, name, options = ''] of calls) {
    const defines = JSON.stringify([`FTP_PASSES=${table}`, `FTP_SIMD_NAME=${name}`]);
    if (name === 'avx2' || name === 'avx512') {
      const target = gypTarget(`passes_${name}`);
      expect(JSON.stringify(target.defines)).toBe(defines);
      expect(target.cflags_cc).toEqual(options.split(' '));
    } else {
      // -msse2 is what every x64 compiler does anyway.
      expect(JSON.stringify(gypTarget('passes_generic'))).toContain(`"defines":${defines}`);
    }
  }
});

test('the compilers are given the same options', () => {
  const [, options = ''] = /set\(TFJS_FTP_CXX_OPTIONS ([^)]*)\)/.exec(cmake) ?? [];
  expect(options).not.toBe('');
  expect(gyp.target_defaults.cflags_cc).toEqual(expect.arrayContaining(options.split(' ')));
  // nvcc's stand in a file that both builds read.
  expect(cmake).toContain('native/kernels/cuda/nvcc.txt');
  expect(read('scripts/install/nvcc.mjs')).toContain('native/kernels/cuda/nvcc.txt');
});
