// What an ELF file needs and offers, as readelf (binutils) tells it; files of any architecture.
import { run, tail } from '../lib/child.mjs';
import { SetupError } from '../lib/report.mjs';
import { compareVersions } from '../lib/versions.mjs';

/**
 * @typedef {object} ElfFacts
 * @property {string} machine e.g. 'AArch64'
 * @property {string[]} needed libraries, as written into the file
 * @property {string[]} searchPaths RPATH and RUNPATH
 * @property {Record<string, string>} versions newest version of each kind of symbol version needed: {GLIBC: '2.34', ...}
 * @property {string[]} exported names of the symbols that others can see
 */

async function readelf(options, file) {
  const env = { ...process.env, LC_ALL: 'C' };
  const { code, stdout, output, missing } = await run('readelf', [...options, '--wide', file], { env });
  if (missing) throw new SetupError('readelf was not found', 'Install it: sudo apt-get install -y binutils');
  if (code !== 0) throw new SetupError(`readelf cannot read ${file}\n${tail(output)}`);
  return stdout;
}

/**
 * Newest version of each kind, from the names of symbol versions.
 * @param {string[]} names e.g. ['GLIBC_2.17', 'GLIBC_2.34', 'CXXABI_1.3']
 */
export function newestVersions(names) {
  const newest = {};
  for (const name of names) {
    const [, kind, version] = /^([A-Z]+)_([\d.]+)$/.exec(name) ?? [];
    if (kind === undefined) continue;
    if (newest[kind] === undefined || compareVersions(version, newest[kind]) > 0) newest[kind] = version;
  }
  return newest;
}

/**
 * @param {string} file
 * @returns {Promise<ElfFacts>}
 * @throws {SetupError} no readelf, or no ELF file
 */
export async function readElf(file) {
  const header = await readelf(['--file-header'], file);
  const dynamic = await readelf(['--dynamic'], file);
  const versions = await readelf(['--version-info'], file);
  const symbols = await readelf(['--dyn-syms'], file);
  const tags = (name) =>
    [...dynamic.matchAll(new RegExp(`\\(${name}\\).*\\[(.*)\\]`, 'g'))].map(([, value]) => value);
  // Num: Value Size Type Bind Vis Ndx Name
  const exported = symbols
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([number, , , , bind, , section]) => /^\d+:$/.test(number) && bind !== 'LOCAL' && /^\d+$/.test(section),
    )
    .map((fields) => fields[7].replace(/@.*/, ''));
  return {
    machine: /Machine:\s+(.+)/.exec(header)?.[1].trim() ?? 'unknown',
    needed: tags('NEEDED'),
    searchPaths: [...tags('RPATH'), ...tags('RUNPATH')],
    versions: newestVersions([...versions.matchAll(/Name: (\S+)/g)].map(([, name]) => name)),
    exported,
  };
}
