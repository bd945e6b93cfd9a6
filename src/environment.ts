/** The environment variables that the addon reads, checked as options are. No tfjs here. */

import { MAX_THREADS } from './validate.js';

const choices = (values: readonly string[]) => values.map((value) => `'${value}'`).join(', ');

/**
 * What is wrong with `TFJS_FTP_THREADS`, `TFJS_FTP_SIMD` or `TFJS_FTP_GPU`: parameter, accepted, got; null: nothing.
 * Empty variables count as not set. (`TFJS_FTP_STREAM_ORDER` is checked by the addon, where it is read.)
 *
 * @param simdLevels the instruction sets that the addon can run here; asked for only where needed.
 */
export function environmentProblem(
  environment: { readonly [name: string]: string | undefined },
  simdLevels: () => readonly string[],
): string | null {
  const { TFJS_FTP_THREADS: threads, TFJS_FTP_SIMD: simd, TFJS_FTP_GPU: gpu } = environment;
  if (threads && !(/^\d+$/.test(threads) && Number(threads) >= 1 && Number(threads) <= MAX_THREADS)) {
    return `TFJS_FTP_THREADS must be a whole number from 1 to ${MAX_THREADS}, got '${threads}'`;
  }
  if (simd && !simdLevels().includes(simd)) {
    const accepted = `one of ${choices(simdLevels())}, which this build has and this processor runs`;
    return `TFJS_FTP_SIMD must be ${accepted}, got '${simd}'`;
  }
  if (gpu && gpu !== '0' && gpu !== '1') return `TFJS_FTP_GPU must be '0' or '1', got '${gpu}'`;
  return null;
}

/** What `TFJS_FTP_MPI_ABI` may be. */
export const MPI_ABIS = ['openmpi', 'mpich', 'mpiabi'] as const;

/** What is wrong with `TFJS_FTP_MPI_ABI`, as {@link environmentProblem}. (`TFJS_FTP_MPI_LIBRARY` is checked by loading it.) */
export function mpiEnvironmentProblem(environment: {
  readonly [name: string]: string | undefined;
}): string | null {
  const { TFJS_FTP_MPI_ABI: abi } = environment;
  if (!abi || MPI_ABIS.some((known) => known === abi)) return null;
  return `TFJS_FTP_MPI_ABI must be one of ${choices(MPI_ABIS)}, got '${abi}'`;
}
