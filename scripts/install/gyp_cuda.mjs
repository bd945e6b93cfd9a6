// What binding.gyp asks while it is read, and how it compiles a CUDA kernel:
//   node scripts/install/gyp_cuda.mjs have ARCH        1 if the addon for ARCH gets CUDA kernels, else 0 and why on stderr
//   node scripts/install/gyp_cuda.mjs include|library  folders of the toolkit, one a line
//   node scripts/install/gyp_cuda.mjs compile SOURCE OBJECT
import { spawnSync } from 'node:child_process';
import { reportFailure, SetupError } from '../lib/report.mjs';
import { chooseCuda, compileArguments } from './nvcc.mjs';

function main([command, ...args]) {
  const { toolkit, reason } = chooseCuda(process.env, command === 'have' ? { arch: args[0] } : {});
  if (command === 'have') {
    process.stderr.write(`tfjs-ftp: ${toolkit ? `CUDA ${toolkit.version}` : `no CUDA kernels, ${reason}`}\n`);
    process.stdout.write(toolkit ? '1\n' : '0\n');
    return;
  }
  if (toolkit === null) throw new SetupError(`there is no CUDA toolkit: ${reason}`);
  if (command === 'compile') {
    const options = compileArguments(toolkit.version, args[0], args[1], process.env);
    process.exitCode = spawnSync(toolkit.nvcc, options, { stdio: 'inherit' }).status ?? 1;
    return;
  }
  if (command !== 'include' && command !== 'library') {
    throw new SetupError(`command must be have, include, library or compile, got ${command}`);
  }
  process.stdout.write(`${toolkit[command].join('\n')}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  reportFailure('tfjs-ftp', error);
  process.exitCode = 1;
}
