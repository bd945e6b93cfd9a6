// scripts/install/gyp_cuda.mjs, which gyp's build asks for CUDA, with stand-ins for nvcc.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { programFolder, root, runNode, temporaryFolder } from './support.js';

const script = path.join(root, 'scripts', 'install', 'gyp_cuda.mjs');

/** An nvcc of some version that writes its arguments into a file. */
function fakeNvcc(version: string): { nvcc: string; log: string } {
  const log = path.join(temporaryFolder(), 'arguments');
  const folder = programFolder({
    nvcc: `
      case "$1" in
        --version) echo "Cuda compilation tools, release ${version}, V${version}.99" ;;
        --dryrun)
          echo '#$ INCLUDES="-I/toolkit/bin/../include"  ' >&2
          echo '#$ LIBRARIES=  "-L/toolkit/lib/stubs" "-L/toolkit/lib"' >&2 ;;
        *) printf '%s\\n' "$@" >${log} ;;
      esac`,
  });
  return { nvcc: path.join(folder, 'nvcc'), log };
}

const ask = (args: string[], env: Record<string, string | undefined>) =>
  runNode([script, ...args], {
    env: { TFJS_FTP_CUDA: undefined, TFJS_FTP_CUDA_ARCHS: undefined, CUDAHOSTCXX: undefined, ...env },
  });

const nowhere = { CUDACXX: '/nowhere/nvcc' };

/** The build has CUDA kernels under Linux alone. */
describe.skipIf(process.platform !== 'linux')('on Linux', () => {
  test('an nvcc that is new enough is used', async () => {
    const { nvcc } = fakeNvcc('12.8');
    expect(await ask(['have', process.arch], { CUDACXX: nvcc })).toMatchObject({
      code: 0,
      stdout: '1\n',
      stderr: 'tfjs-ftp: CUDA 12.8\n',
    });
    expect((await ask(['include'], { CUDACXX: nvcc })).stdout).toBe('/toolkit/include\n');
    expect((await ask(['library'], { CUDACXX: nvcc })).stdout).toBe('/toolkit/lib\n');
  });

  test('without nvcc, with an old one and for another architecture the build goes on without CUDA', async () => {
    const other = process.arch === 'x64' ? 'arm64' : 'x64';
    const cases = [
      { env: nowhere, arch: process.arch, reason: 'no nvcc was found' },
      { env: { CUDACXX: fakeNvcc('11.7').nvcc }, arch: process.arch, reason: 'CUDA 11.8 or newer is needed' },
      { env: { CUDACXX: fakeNvcc('13.0').nvcc }, arch: other, reason: `not used to build for ${other}` },
      { env: { ...nowhere, TFJS_FTP_CUDA: 'OFF' }, arch: process.arch, reason: 'TFJS_FTP_CUDA is OFF' },
    ];
    for (const { env, arch, reason } of cases) {
      const { code, stdout, stderr } = await ask(['have', arch], env);
      expect(stderr).toMatch(/^tfjs-ftp: no CUDA kernels, /);
      expect(stderr).toContain(reason);
      expect(stdout).toBe('0\n');
      expect(code).toBe(0);
    }
  });

  test('TFJS_FTP_CUDA=ON makes that an error', async () => {
    const { code, stderr } = await ask(['have', process.arch], { ...nowhere, TFJS_FTP_CUDA: 'ON' });
    expect(stderr).toContain('TFJS_FTP_CUDA is ON, but no nvcc was found');
    expect(stderr).toContain('CUDA_HOME');
    expect(code).toBe(1);
  });

  test('other settings are refused', async () => {
    const { code, stderr } = await ask(['have', process.arch], { TFJS_FTP_CUDA: 'yes' });
    expect(stderr).toContain("TFJS_FTP_CUDA must be AUTO, ON, OFF, got 'yes'");
    expect(code).toBe(1);
  });
});

describe.skipIf(process.platform !== 'linux')('a kernel is compiled', () => {
  async function compile(version: string, env: Record<string, string> = {}) {
    const { nvcc, log } = fakeNvcc(version);
    const outcome = await ask(['compile', 'a.cu', 'a.o'], { CUDACXX: nvcc, ...env });
    const args = fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split('\n') : [];
    const targets = args.filter((argument) => argument.startsWith('-gencode='));
    return { ...outcome, args, targets: targets.map((argument) => argument.slice('-gencode='.length)) };
  }

  test('for all architectures of the toolkit, with PTX of the newest', async () => {
    const machine = (...numbers: number[]) => numbers.map((n) => `arch=compute_${n},code=sm_${n}`);
    const old = machine(60, 70, 75, 80, 86, 89, 90);
    expect((await compile('11.8')).targets).toEqual([...old, 'arch=compute_90,code=compute_90']);
    expect((await compile('12.9')).targets).toEqual([
      ...old,
      ...machine(100, 120),
      'arch=compute_120,code=compute_120',
    ]);
    expect((await compile('13.0')).targets.slice(0, 2)).toEqual(machine(75, 80));
    const all = await compile('11.8', { TFJS_FTP_CUDA_ARCHS: 'AUTO' });
    expect(all.targets).toHaveLength(8);
  });

  test('for those that TFJS_FTP_CUDA_ARCHS names', async () => {
    const { targets } = await compile('13.0', { TFJS_FTP_CUDA_ARCHS: '86-real;90;100-virtual' });
    expect(targets).toEqual([
      'arch=compute_86,code=sm_86',
      'arch=compute_90,code=sm_90',
      'arch=compute_90,code=compute_90',
      'arch=compute_100,code=compute_100',
    ]);
    const refused = await compile('13.0', { TFJS_FTP_CUDA_ARCHS: 'sm_90' });
    expect(refused.stderr).toContain('TFJS_FTP_CUDA_ARCHS must be architectures like 90');
    expect(refused.stderr).toContain("got 'sm_90'");
    expect(refused).toMatchObject({ code: 1, args: [] });
  });

  test('with the options of nvcc.txt, and the host compiler that is asked for', async () => {
    const { args } = await compile('13.0', { CUDAHOSTCXX: 'g++-12' });
    expect(args).toEqual(expect.arrayContaining(['--fmad=false', '--ftz=true', '-O3', '-ccbin=g++-12']));
    expect(args.slice(-4)).toEqual(['-c', 'a.cu', '-o', 'a.o']);
  });
});
