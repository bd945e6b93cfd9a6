// A job of which a rank fails, or is killed, ends soon, with a code and a message, and another one goes on from the last checkpoint.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { mpiEnvironmentProblem } from '../../src/environment.js';
import { findLauncher } from '../../src/parallel/launcher.js';
import { temporaryFolder } from '../package/support.js';
import { KINDS, launch, reportsOf, whyNot } from './launch.js';

const kills = Number(process.env.TFJS_FTP_KILLS ?? 1);
const present = KINDS.filter((kind) => whyNot(kind) === null);
for (const why of KINDS.flatMap((kind) => whyNot(kind) ?? [])) test.skip(`failures: ${why}`, () => {});

/** A number in [0, 1), the same ones in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Processes of this machine with these arguments, but for the launchers. */
function ranksOf(directory: string): number[] {
  return fs.readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const args = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return args[0] === process.execPath && args.some((one) => one.includes(directory))
        ? [Number(name)]
        : [];
    } catch {
      return [];
    }
  });
}

describe.each(present)('%s', (kind) => {
  test('an error of one rank ends the job', async () => {
    const running = launch(kind, 2, [{ failAt: 1, steps: 50, pause: 20 }], {});
    const { code, stderr } = await running.outcome;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/tfjs-ftp: rank 1 of 2: Error: this rank fails\n +at /);
    expect(stderr).toContain('tfjs-ftp: rank 1 of 2 ends with exit code 1, and the job with it');
  });

  test(
    `a rank is killed ${kills} times`,
    async () => {
      const random = seeded(Number(process.env.TFJS_FTP_KILL_SEED ?? 1));
      const directory = path.join(temporaryFolder(), kind);
      const cases = [{ directory, steps: 4 + 2 * kills, pause: 30, sharing: { shard: true } }];
      for (let killed = 0; killed < kills; ++killed) {
        // Far more steps than there is time for.
        const long = launch(kind, 2, [{ ...cases[0], steps: 100_000 }]);
        await long.sees('ready 1');
        await long.sees('ready 0');
        await new Promise((resolve) => setTimeout(resolve, 500 * random()));
        const ranks = ranksOf(directory);
        expect(ranks).toHaveLength(2);
        process.kill(ranks[Math.floor(random() * 2)] as number, 'SIGKILL');
        const start = performance.now();
        const { code, stdout, stderr } = await long.outcome;
        expect(performance.now() - start).toBeLessThan(15_000);
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/signal 9|Killed/);
        for (let wait = 0; wait < 50 && ranksOf(directory).length > 0; ++wait) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        expect(ranksOf(directory)).toEqual([]);
        // The next one would train on: it goes on from where that one was.
        const saved = fs.existsSync(directory)
          ? fs.readdirSync(directory).filter((name) => /^\d/.test(name))
          : [];
        const last = Math.max(0, ...saved.map((name) => Number(/step-(\d+)/.exec(name)?.[1])));
        const steps = last + 2;
        const [first = []] = await reportsOf(launch(kind, 2, [{ ...cases[0], steps }]), 2);
        const [whole = []] = await reportsOf(launch(kind, 2, [{ steps }]), 2);
        expect(first[0]?.iterations).toBe(steps);
        expect(first[0]?.weights).toBe(whole[0]?.weights);
        expect(first[0]?.state).toBe(whole[0]?.state);
      }
    },
    60_000 + kills * 30_000,
  );

  test('shares are resumed with another number of ranks, and by one process', async () => {
    const directory = path.join(temporaryFolder(), 'saved');
    const [[saved] = []] = await reportsOf(
      launch(kind, 2, [{ directory, steps: 4, sharing: { shard: true } }]),
      2,
    );
    const there = { directory, steps: 4 };
    const [three = []] = await reportsOf(launch(kind, 3, [there, { ...there, sharing: { shard: true } }]), 3);
    const [alone = []] = kind === 'mpich' ? await reportsOf(launch(null, 1, [there]), 1) : [];
    for (const one of [...three, ...alone]) {
      expect(one.weights).toBe(saved?.weights);
      expect(one.state).toBe(saved?.state);
    }
    const on = await reportsOf(
      launch(kind, 3, [
        { directory, steps: 5 },
        { directory, steps: 5, sharing: { shard: true } },
      ]),
      3,
    );
    expect(on[0]?.[1]?.state).toBe(on[0]?.[0]?.state);
    expect(on[2]?.[1]?.weights).toBe(on[0]?.[0]?.weights);
    expect(on[0]?.[0]?.iterations).toBe(5);
  });

  test('a library of another kind than the launcher is refused', async () => {
    const other = kind === 'openmpi' ? 'libmpich.so.12' : 'libmpi.so.40';
    if (present.length < 2) return;
    const { code, stderr } = await launch(kind, 2, [{ steps: 1 }], { TFJS_FTP_MPI_LIBRARY: other }).outcome;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(
      /the job was started by .* mpirun with 2 ranks, but the MPI library .*lib.* is not its/,
    );
  });
});

test('what was tried is told where there is no library', async () => {
  const env = { OMPI_COMM_WORLD_SIZE: '2', TFJS_FTP_MPI_LIBRARY: '/nowhere/libmpi.so' };
  const { code, stderr } = await launch(null, 1, [{ steps: 1 }], env).outcome;
  expect(code).toBe(1);
  expect(stderr).toContain(
    "Open MPI's mpirun asks for MPI, but no MPI library could be loaded. Tried:\n  /nowhere/libmpi.so: ",
  );
});

test('TFJS_FTP_MPI_ABI is checked', () => {
  expect(mpiEnvironmentProblem({ TFJS_FTP_MPI_ABI: '' })).toBeNull();
  expect(mpiEnvironmentProblem({ TFJS_FTP_MPI_ABI: 'mpich' })).toBeNull();
  expect(mpiEnvironmentProblem({ TFJS_FTP_MPI_ABI: 'impi' })).toBe(
    "TFJS_FTP_MPI_ABI must be one of 'openmpi', 'mpich', 'mpiabi', got 'impi'",
  );
});

test.each([
  [{}, null],
  [
    { OMPI_COMM_WORLD_SIZE: '4', PMIX_RANK: '0' },
    { abi: 'openmpi', size: 4 },
  ],
  [
    { PMI_RANK: '1', PMI_SIZE: '3' },
    { abi: 'mpich', size: 3 },
  ],
  [
    { SLURM_STEP_ID: '0', SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '8' },
    { abi: null, size: 8 },
  ],
  // In a batch script, outside of srun.
  [{ SLURM_STEP_ID: '4294967291', SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '1', SLURM_NTASKS: '8' }, null],
  [{ PMIX_RANK: '0' }, { abi: null, size: null }],
])('launcher of %j', (environment, expected) => {
  const found = findLauncher(environment);
  if (expected === null) expect(found).toBeNull();
  else expect(found).toMatchObject(expected);
});
