// The programs of native/bench/ as an engineer starts them. No assertion on times.
import { beforeAll, describe, expect, test } from 'vitest';
import { nativeInfo } from '../../src/native_api.js';
import { runNode, start } from './support.js';

const CUDA_BUILT = nativeInfo().build?.cuda ?? false;
const BUILD_TIMEOUT = 600_000;

/** Path of a program, built as `npm run bench` builds it. */
async function build(program: string): Promise<string> {
  const { code, stdout, stderr } = await runNode(['scripts/build_native_bench.mjs', program]);
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
      [2, "cuda_bench: --list must be some of vit, resnet, billion, tiny with commas between, got 'bert'"],
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
