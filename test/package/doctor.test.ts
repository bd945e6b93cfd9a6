// `tfjs-ftp doctor` on this installation, and on projects made to be broken in one way.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DoctorReport } from '../../src/cli/doctor.js';
import { fakeProject, root, runNode, temporaryFolder, writeBinding } from './support.js';

const main = path.join(root, 'dist', 'cli', 'main.js');
const built = fs.existsSync(path.join(root, 'build', 'Release', 'tfjs_ftp.node'));

async function doctor(cwd: string, env: Record<string, string | undefined> = {}) {
  const { code, stdout, stderr } = await runNode([main, 'doctor', '--json'], { cwd, env });
  expect(stderr).toBe('');
  return { code, report: JSON.parse(stdout) as DoctorReport };
}

/** A package folder with nothing but its manifest. */
function writePackage(project: string, name: string, version: string): string {
  const folder = path.join(project, 'node_modules', name);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name, version, main: 'index.js' }));
  return folder;
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
  test('no addon is no problem: every backend gets the reference implementation', async () => {
    const { code, report } = await doctor(root, { TFJS_FTP_ADDON: 'none' });
    expect(report.addon).toMatchObject({ found: false, tried: [{ reason: 'switched off' }] });
    for (const { implementation } of Object.values(report.implementations)) {
      expect(implementation).toBe('reference');
    }
    expect(report.problems.filter((problem) => problem.includes('addon'))).toEqual([]);
    expect(code).toBe(report.problems.length > 0 ? 1 : 0);
  });

  test('an addon file that does not load is a problem, with its path', async () => {
    const broken = path.join(temporaryFolder(), 'broken.node');
    fs.writeFileSync(broken, 'not an addon');
    const { code, report } = await doctor(root, { TFJS_FTP_ADDON: broken });
    expect(code).toBe(1);
    expect(report.problems.join('\n')).toContain(`the addon ${broken} does not load`);
  });

  test('a tfjs-node that does not load is a problem, with what to do', async () => {
    const { project, directory } = fakeProject('');
    const { code, report } = await doctor(project);
    expect(report.tfjsNode[0]).toMatchObject({ version: '0.0.1', path: directory, probe: { loads: false } });
    expect(report.tfjsNode[0]?.probe.reason).toContain('no binding at');
    expect(report.implementations.tensorflow).toEqual({
      implementation: 'reference',
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
});
