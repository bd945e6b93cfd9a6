// The programs of native/bench/ as an engineer starts them. No assertion on times.
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bytesPerParameter, flopsPerParameter } from '../../bench/counts.js';
import { readReport } from '../../bench/report_file.js';
import type { CudaReport } from '../../bench/schema.js';
import { nativeInfo } from '../../src/native/index.js';
import { root, runNode, start, temporaryFolder } from './support.js';

const MAIN = path.join(root, 'dist', 'tools', 'bench', 'main.js');

const CUDA_BUILT = nativeInfo().build?.cuda ?? false;
const BUILD_TIMEOUT = 600_000;

/** Path of a program, built as `npm run bench` builds it. */
async function build(program: string): Promise<string> {
  const { code, stdout, stderr } = await runNode(['scripts/build/build_native_bench.mjs', program]);
  if (code !== 0) throw new Error(`${stdout}${stderr}`);
  return stdout.trimEnd().split('\n').at(-1) as string;
}

/** Exit code and stderr for each line of arguments. */
async function outcomes(program: string, lines: readonly string[]): Promise<Array<[number | null, string]>> {
  const ended: Array<[number | null, string]> = [];
  for (const line of lines) {
    const { code, stdout, stderr } = await start(program, line.split(' ').filter(Boolean)).outcome;
    expect(stdout).toBe('');
    ended.push([code, stderr.trim()]);
  }
  return ended;
}

describe('kernel_bench', () => {
  let program = '';
  beforeAll(async () => {
    program = await build('kernel_bench');
  }, BUILD_TIMEOUT);

  test('names an option that is wrong, what it accepts and what came', async () => {
    expect(
      await outcomes(program, [
        '--threads 1,0',
        '--threads 1,',
        '--rounds 1.5',
        '--min-sample-ms -1',
        '--rounds',
        '--colour red',
        '',
      ]),
    ).toEqual([
      [2, "kernel_bench: --threads must be whole numbers >= 1 with commas between, got '1,0'"],
      [2, "kernel_bench: --threads must be whole numbers >= 1 with commas between, got '1,'"],
      [2, "kernel_bench: --rounds must be a whole number >= 1, got '1.5'"],
      [2, "kernel_bench: --min-sample-ms must be a number >= 0, got '-1'"],
      [2, 'kernel_bench: --rounds needs a value: N'],
      [2, "kernel_bench: unknown option '--colour'; see --help"],
      [2, 'kernel_bench: --variables FILE is needed'],
    ]);
    expect(await outcomes(program, ['--variables /nowhere.txt'])).toEqual([
      [1, 'kernel_bench: cannot read /nowhere.txt'],
    ]);
  });

  test('prints its options with --help', async () => {
    const { code, stdout } = await start(program, ['--help']).outcome;
    expect(code).toBe(0);
    for (const option of ['--variables', '--rounds', '--threads', '--copy-megabytes', '--min-sample-ms']) {
      expect(stdout).toContain(`  ${option} `);
    }
  });
});

describe.skipIf(!CUDA_BUILT)('cuda_bench (needs an addon built with nvcc)', () => {
  let program = '';
  beforeAll(async () => {
    program = await build('cuda_bench');
  }, BUILD_TIMEOUT);

  test('names an option that is wrong, what it accepts and what came', async () => {
    expect(await outcomes(program, ['--list bert', '--layout rows,diagonal', '--chunk 512'])).toEqual([
      [
        2,
        "cuda_bench: --list must be some of vit, resnet, billion, tiny-10k with commas between, got 'bert'",
      ],
      [2, "cuda_bench: --layout must be some of rows, columns with commas between, got 'rows,diagonal'"],
      [2, "cuda_bench: --chunk must be whole numbers >= 1024 with commas between, got '512'"],
    ]);
  });

  test('says with code 77 where there is no GPU', async () => {
    const env = { CUDA_VISIBLE_DEVICES: '' };
    const { code, stdout, stderr } = await start(program, ['--list', 'vit'], { env }).outcome;
    expect([code, stdout]).toEqual([77, '']);
    expect(stderr).toMatch(/^cuda_bench: no GPU that the kernels run on: \w.*\n$/);
  });
});

/** From the program through the file to the picture, with no GPU. */
describe.skipIf(!CUDA_BUILT || process.platform === 'win32')(
  'cuda_bench on a double of the GPU (needs nvcc)',
  () => {
    const OPTIMIZERS = [
      'ftp-adamw',
      'ftp-adamw-amsgrad',
      'ftp-adamw-decay',
      'ftp-sgd-momentum',
      'projection',
      'adamw',
    ];
    let program = '';
    beforeAll(async () => {
      program = await build('cuda_bench_double');
    }, BUILD_TIMEOUT);

    /** Runs it on small sizes and reads what it wrote. */
    async function measure(
      ...options: string[]
    ): Promise<{ json: string; stdout: string; report: CudaReport }> {
      const json = path.join(temporaryFolder(), 'cuda.json');
      const small = ['--min-sample-ms', '0', '--copy-megabytes', '1', '--json', json];
      const { code, stdout, stderr } = await start(program, [...options, ...small]).outcome;
      expect([code, stderr]).toEqual([0, '']);
      const file = readReport(json);
      if (file.kind !== 'cuda') throw new Error('expected a report of CUDA runs');
      return { json, stdout, report: file.report };
    }

    test('measures every contender of every point of the sweep', async () => {
      const { stdout, report } = await measure(
        ...['--elements', '6,200', '--rows', '1,8', '--variables', '1,3', '--rounds', '2'],
        ...['--optimizer', OPTIMIZERS.join(','), '--check', 'off,on'],
      );
      expect(
        report.runs.map(({ workload }) => [workload.variables, workload.rows, workload.parameters]),
      ).toEqual([
        [1, 1, 6],
        [3, 1, 6],
        [1, 1, 200],
        [3, 1, 201],
        [1, 8, 200],
        [3, 8, 192],
      ]);
      expect(report.leftOut.map(({ what }) => what)).toEqual([
        '6 elements as 1 x 8 rows',
        '6 elements as 3 x 8 rows',
      ]);
      for (const { workload, contenders } of report.runs) {
        const [copy, ...steps] = contenders;
        expect(copy).toMatchObject({ optimizer: 'copy', bytes: 2 * 2 ** 20, launches: 1 });
        // Two layouts but for plain AdamW, two versions, with the check and without.
        expect(steps).toHaveLength(5 * 8 + 4);
        for (const step of steps) {
          const read = step.checked ? 4 : 0;
          const passes = step.version === 'one' || step.optimizer === 'adamw' ? 1 : 3;
          expect(step.launches, step.name).toBe(passes + (step.checked ? 1 : 0));
          expect(step.bytes, step.name).toBe((step.bytesPerParameter as number) * workload.parameters);
          expect(step.samples, step.name).toHaveLength(2);
          expect(flopsPerParameter(step.optimizer), step.name).toBeGreaterThan(0);
          const known = {
            'ftp-adamw': bytesPerParameter('ftp-adamw') - 4,
            adamw: bytesPerParameter('adamw'),
          };
          const bytes = known[step.optimizer as keyof typeof known];
          if (bytes !== undefined) expect(step.bytesPerParameter, step.name).toBe(bytes + read);
          expect(stdout).toContain(` ${step.name} `);
        }
      }
    }, 120_000);

    test('its file is drawn, shown and compared, and never judged', async () => {
      const { json, report } = await measure(
        '--elements',
        '1000',
        '--rows',
        '8',
        '--variables',
        '2',
        '--rounds',
        '5',
      );
      expect(report.device).toMatchObject({
        emulated: true,
        name: expect.stringContaining('host emulation'),
      });
      expect(report.toolkit).toMatch(/^\d+\.\d+$/);
      const head = await start('git', ['rev-parse', 'HEAD']).outcome;
      expect(report.commit).toBe(head.code === 0 ? head.stdout.trim() : null);

      const svg = path.join(temporaryFolder(), 'roofline.svg');
      const [drawn, shown, compared, limited] = await Promise.all([
        runNode([MAIN, 'roofline', json, '-o', svg]),
        runNode([MAIN, 'show', json]),
        runNode([MAIN, 'compare', json, json]),
        runNode([MAIN, 'compare', json, json, '--fail-above', '2']),
      ]);
      expect([drawn, shown, compared, limited].map(({ code }) => code)).toEqual([0, 0, 0, 1]);
      expect(fs.readFileSync(svg, 'utf8')).toContain('HOST EMULATION, no measurement');
      expect(shown.stdout).toContain('HOST EMULATION');
      for (const { name } of report.runs[0]?.contenders ?? []) expect(shown.stdout).toContain(name);
      expect(compared.stdout).toContain('not judged: host emulation');
      expect(compared.stdout).not.toMatch(/SLOWER|faster {2}|within noise/);
      expect(limited.stderr).toContain('no case could be judged (host emulation)');
    });

    test('takes the commit that it is told, and reports a list that does not fit', async () => {
      const { report } = await measure('--list', 'billion', '--commit', 'abc', '--rounds', '1');
      expect([report.commit, report.modified, report.runs]).toEqual(['abc', null, []]);
      expect(report.leftOut).toEqual([
        { what: '16 of 8192 x 8192', reason: expect.stringMatching(/^needs [\d.]+ GB of device memory, /) },
      ]);
    });
  },
);
