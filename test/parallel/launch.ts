/** Jobs of several ranks, under each MPI of this machine. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Running, start, temporaryFolder } from '../package/support.js';

export type Kind = 'openmpi' | 'mpich';
export const KINDS: readonly Kind[] = ['openmpi', 'mpich'];
const child = path.join(import.meta.dirname, 'train_child.mjs');

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;

/** Why jobs of a kind cannot be started here; null where they can. */
export function whyNot(kind: Kind): string | null {
  return has(`mpirun.${kind}`)
    ? null
    : `no mpirun.${kind} (Debian: ${kind === 'openmpi' ? 'openmpi-bin' : 'mpich'})`;
}

// As root, on one machine, with more ranks than cores, without ssh.
const OPENMPI = {
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
  OMPI_MCA_hwloc_base_binding_policy: 'none',
  OMPI_MCA_mpi_yield_when_idle: '1',
  OMPI_MCA_plm_rsh_agent: 'true',
};

/** A job, with the folder of its reports. */
export type Job = Running & { results: string };

export type Case = { [option: string]: unknown };

/** Starts a job; 1 rank without `kind`: by itself. */
export function launch(
  kind: Kind | null,
  ranks: number,
  cases: readonly Case[],
  env: Record<string, string> = {},
): Job {
  const program = [process.execPath, child, JSON.stringify(cases)] as const;
  const results = temporaryFolder();
  const all = { ...OPENMPI, FORCE_COLOR: '0', TEST_RESULTS: results, ...env };
  return { ...begin(kind, ranks, program, all), results };
}

function begin(
  kind: Kind | null,
  ranks: number,
  program: readonly [string, ...string[]],
  all: Record<string, string>,
): Running {
  if (kind === null) return start(program[0], program.slice(1), { env: all });
  return start(`mpirun.${kind}`, ['-n', String(ranks), ...program], { env: all });
}

export interface Report {
  weights: string;
  state: string;
  names: string[];
  average: string | null;
  norm: number | null;
  skipped: number;
  iterations: number;
  learned: number[];
  errors: Array<string | null>;
  own: number;
  values: number[] | null;
  leaked: number;
}

/** What each rank reports, by rank, then by case. */
export async function reportsOf<T = Report>(job: Job, ranks: number): Promise<T[][]> {
  const { code, stderr } = await job.outcome;
  if (code !== 0) throw new Error(`the job ended with ${code}:\n${stderr.slice(0, 1500)}`);
  return Array.from({ length: ranks }, (_, rank) => {
    return JSON.parse(fs.readFileSync(path.join(job.results, `${rank}.json`), 'utf8')) as T[];
  });
}
