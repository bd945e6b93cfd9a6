#!/usr/bin/env node
// Compiles the CUDA kernels and reads what ptxas says of them: registers, stack frame and spills of every kernel for
// every architecture. Fails on any stack frame or spill: both would send traffic through memory that the byte counts of
// the kernels do not know. `npm run check:ptxas`; arguments are architectures for a quicker run (`-- 90`).
import fs from 'node:fs';
import path from 'node:path';
import { run, tail } from '../lib/child.mjs';
import { reporter, reportFailure, SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';

const BUILD = 'build-ptxas';
// check, gather and its finish; pass 1 of 15 pairs; finish and pass 2 of 3 rules; 3 of one launch; sums of 2 bases by 5
// kinds of rules, squares, rows that turn, totals.
const EXPECTED_KERNELS = 40;

/** One entry a kernel and architecture, from the output of `nvcc -Xptxas -v`. */
function parsePtxas(text) {
  const kernels = [];
  let current = null;
  for (const line of text.split('\n')) {
    const entry = line.match(/Compiling entry function '([^']+)' for '([^']+)'/);
    if (entry) current = { name: entry[1], arch: entry[2] };
    const frame = line.match(/(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/);
    if (frame && current) {
      [current.frame, current.spillStores, current.spillLoads] = frame.slice(1).map(Number);
    }
    const used = line.match(/Used (\d+) registers/);
    if (used && current?.frame !== undefined) {
      current.registers = Number(used[1]);
      kernels.push(current);
      current = null;
    }
  }
  return kernels;
}

/** `deviate_kernel<AdamW, Ftp>` from a mangled name: the kernel's own name and the pieces that it is for. */
function shortName(mangled) {
  const name = mangled.match(/\d([a-z]+(?:_[a-z]+)*_kernel)(?=[IE])/)?.[1] ?? mangled;
  const pieces = [...mangled.matchAll(/NS_\d+([A-Za-z0-9]+?)E/g)].map((match) => match[1]);
  const named = pieces.filter((piece) => piece !== 'StepArgs');
  return named.length === 0 ? name : `${name}<${named.join(', ')}>`;
}

async function command(program, args) {
  const { code, output, missing } = await run(program, args, { cwd: root });
  if (missing)
    throw new SetupError(`${program} was not found`, 'Install cmake: sudo apt-get install -y cmake');
  if (code !== 0)
    throw new SetupError(`${program} ${args.join(' ')} ended with code ${code}\n${tail(output)}`);
  return output;
}

async function main() {
  const say = reporter('check:ptxas');
  const start = performance.now();
  const archs = process.argv.slice(2).join(';');
  fs.rmSync(path.join(root, BUILD), { recursive: true, force: true });
  const options = [
    '-DTFJS_FTP_CUDA=ON',
    '-DTFJS_FTP_PTXAS_REPORT=ON',
    '-DTFJS_FTP_WERROR=ON',
    '-DTFJS_FTP_NATIVE_TESTS=OFF',
    `-DTFJS_FTP_CUDA_ARCHS=${archs}`,
  ];
  await command('cmake', ['-S', '.', '-B', BUILD, ...options]);
  say(`compiling the kernels in ${BUILD}/`);
  const output = await command('cmake', ['--build', BUILD, '--target', 'tfjs_ftp_cuda', '--parallel', '2']);
  const kernels = parsePtxas(output);
  const names = [...new Set(kernels.map(({ name }) => shortName(name)))].sort();
  const found = [...new Set(kernels.map(({ arch }) => arch))].sort();
  for (const name of names) {
    const registers = kernels
      .filter((kernel) => shortName(kernel.name) === name)
      .map(({ arch, registers: count }) => `${arch} ${count}`);
    console.log(`${name.padEnd(26)} registers: ${registers.sort().join(', ')}`);
  }
  if (names.length !== EXPECTED_KERNELS || kernels.length !== names.length * found.length) {
    throw new SetupError(
      `expected ${EXPECTED_KERNELS} kernels for each architecture, found ${kernels.length} reports of ` +
        `${names.length} kernels for ${found.join(', ')}`,
    );
  }
  const bad = kernels.filter(({ frame, spillStores, spillLoads }) => frame + spillStores + spillLoads > 0);
  for (const { name, arch, frame, spillStores, spillLoads } of bad) {
    console.error(`${shortName(name)} ${arch}: stack ${frame} B, spills ${spillStores} B / ${spillLoads} B`);
  }
  if (bad.length > 0)
    throw new SetupError(`${bad.length} of ${kernels.length} kernels spill or have a stack frame`);
  say(`${kernels.length} kernels for ${found.join(', ')}: no spills, no stack frames (${seconds(start)})`);
}

main().catch((error) => {
  reportFailure('check:ptxas', error);
  process.exitCode = 1;
});
