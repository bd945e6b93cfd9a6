/** Suite `cuda`: builds and runs native/bench/cuda_bench, the CUDA step without tfjs and Node. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cudaInfo } from 'tfjs-ftp/native';
import { buildNativeBench, execute, optionList } from './native.js';
import { readCudaReport } from './report_file.js';
import type { CudaReport } from './schema.js';
import { Unavailable } from './specs.js';

export interface CudaSpec {
  /** What is measured, for people. */
  label: string;
  /** Options of cuda_bench. */
  options: Record<string, string | number>;
}

/**
 * @returns path of the program
 * @throws Unavailable without a GPU, nvcc, cmake or the sources
 */
export async function buildCudaBench(): Promise<string> {
  const { available, reason } = cudaInfo();
  if (!available) throw new Unavailable(`no GPU that the kernels run on: ${reason}`);
  return buildNativeBench('cuda_bench');
}

/** One process. @throws Unavailable where the program finds no GPU that the kernels run on */
export async function runCuda(program: string, { options }: CudaSpec): Promise<CudaReport> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-bench-'));
  try {
    const json = path.join(folder, 'cuda.json');
    await execute(program, optionList({ ...options, json }));
    return readCudaReport(json);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
