/** What started this process, as the environment tells: which MPI its ranks have, and how many there are. */

/** A launcher of MPI jobs. */
export interface Launcher {
  /** As a user knows it. */
  name: string;
  /** The binary interface of the library that it starts ranks of; null where it serves any. */
  abi: 'openmpi' | 'mpich' | null;
  /** Ranks of the job; null where the environment does not say. */
  size: number | null;
}

type Environment = { readonly [name: string]: string | undefined };

function numberOf(value: string | undefined): number | null {
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : null;
}

/** Null: none that is known, so this process is alone. */
export function findLauncher(environment: Environment): Launcher | null {
  const { OMPI_COMM_WORLD_SIZE, PMI_SIZE, PMI_RANK, MV2_COMM_WORLD_SIZE, PMIX_RANK } = environment;
  const { SLURM_STEP_NUM_TASKS, SLURM_STEP_ID, SLURM_PROCID, PALS_RANKID, FLUX_TASK_RANK } = environment;
  if (OMPI_COMM_WORLD_SIZE !== undefined) {
    return { name: "Open MPI's mpirun", abi: 'openmpi', size: numberOf(OMPI_COMM_WORLD_SIZE) };
  }
  // In a batch script, outside of srun, there is one task.
  const tasks = numberOf(SLURM_STEP_NUM_TASKS);
  if (SLURM_STEP_ID !== undefined && SLURM_PROCID !== undefined && tasks !== null) {
    if (tasks > 1 || PMI_RANK !== undefined || PMIX_RANK !== undefined) {
      return { name: "Slurm's srun", abi: null, size: tasks };
    }
  }
  if (MV2_COMM_WORLD_SIZE !== undefined) {
    return { name: "MVAPICH's mpirun", abi: 'mpich', size: numberOf(MV2_COMM_WORLD_SIZE) };
  }
  if (PALS_RANKID !== undefined) return { name: 'PALS', abi: 'mpich', size: numberOf(PMI_SIZE) };
  if (FLUX_TASK_RANK !== undefined) return { name: 'Flux', abi: null, size: numberOf(PMI_SIZE) };
  if (PMI_RANK !== undefined) return { name: "MPICH's mpirun", abi: 'mpich', size: numberOf(PMI_SIZE) };
  return PMIX_RANK === undefined ? null : { name: 'a PMIx launcher', abi: null, size: null };
}

/**
 * Names of MPI libraries, in the order of mpi4py 4.1: the one that the compiler would link, MPICH's and its relatives', Open MPI's.
 * After them what Debian calls MPICH's, and libraries of MPI 5's standard interface.
 */
export function libraryNames(platform: NodeJS.Platform): string[] {
  if (platform !== 'darwin') {
    return [
      'libmpi.so',
      'libmpi.so.12',
      'libmpi.so.40',
      'libmpich.so.12',
      'libmpi_abi.so.0',
      'libmpi_abi.so.1',
    ];
  }
  const names = ['libmpi.dylib', 'libmpi.12.dylib', 'libmpi.40.dylib', 'libmpi_abi.0.dylib'];
  const folders = ['@rpath', '/usr/local/lib', '/opt/homebrew/lib', '/opt/local/lib'];
  return folders.flatMap((folder) => names.map((name) => `${folder}/${name}`));
}
