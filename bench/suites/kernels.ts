/** Suite `kernels`: builds and runs native/bench/, the step without Node and TensorFlow against memcpy. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { table } from '../../tools/table.js';
import { bytesPerParameter } from '../counts.js';
import { fixed, millions, milliseconds, ratioText } from '../format.js';
import { listNamed, parametersOf, rowsOf, sizeOf, type VariableList } from '../lists.js';
import { summarizeRun } from '../measure.js';
import { availableBytes, buildNativeBench, gigabytes, inFolder, runNative } from '../native.js';
import type { KernelRun } from '../schema.js';
import { ratioByRound } from '../statistics.js';
import { MIN_SAMPLE_SECONDS, QUICK_ROUNDS, QUICK_SAMPLE_SECONDS, type Suite, Unavailable } from '../suite.js';

/** By the name that kernel_bench prints. */
const CONTENDERS: Record<string, { label: string; bytes: number }> = {
  copy: { label: 'memcpy', bytes: bytesPerParameter('copy') },
  'stream-copy': { label: 'copy past the caches', bytes: bytesPerParameter('copy') },
  'ftp-adamw-rows': { label: 'FTP-AdamW, rows', bytes: bytesPerParameter('ftp-adamw') },
  'ftp-adamw-columns': { label: 'FTP-AdamW, columns', bytes: bytesPerParameter('ftp-adamw') },
  'ftp-sgd-momentum-rows': {
    label: 'FTP-SGD momentum, rows',
    bytes: bytesPerParameter('ftp-sgd-momentum'),
  },
  'ftp-sgd-momentum-columns': {
    label: 'FTP-SGD momentum, columns',
    bytes: bytesPerParameter('ftp-sgd-momentum'),
  },
  'ftp-adamw-bfloat16-rows': {
    label: 'FTP-AdamW bfloat16, rows',
    bytes: bytesPerParameter('ftp-adamw-bfloat16'),
  },
  'ftp-adamw-bfloat16-columns': {
    label: 'FTP-AdamW bfloat16, columns',
    bytes: bytesPerParameter('ftp-adamw-bfloat16'),
  },
  adamw: { label: 'unprojected AdamW', bytes: bytesPerParameter('adamw') },
};
const BASELINES = ['adamw', 'ftp-adamw-rows', 'ftp-sgd-momentum-rows', 'ftp-adamw-bfloat16-rows'];

/** Words a parameter: shared weights, gradients, outputs, and the state of seven contenders. */
const WORDS = 3 + 4 + 4 + 3 + 3 + 2.5 + 2.5 + 2;

interface KernelSpec {
  list: string;
  rounds: number;
  minSampleSeconds: number;
  /** Of each buffer of the copy. */
  copyMegabytes: number;
}

/** What kernel_bench prints. */
interface KernelOutput {
  simd: string;
  elements: number;
  copyBytes: number;
  runs: Array<{ threads: number; contenders: Array<{ name: string; repeats: number; seconds: number[] }> }>;
}

/** One, two (what the targets speak of) and all threads, as far as there are cores. */
function threadCounts(cores = os.availableParallelism()): number[] {
  return [...new Set([1, Math.min(2, cores), cores])];
}

/** Lines `rows length`, one a variable. */
function listText(list: VariableList): string {
  return list.variables
    .map(({ shape }) => {
      const { rows, length } = rowsOf(shape);
      return `${rows} ${length}\n`;
    })
    .join('');
}

/** One process for the list; one run for each number of threads. */
async function measure(spec: KernelSpec, program: string): Promise<KernelRun[]> {
  const list = listNamed(spec.list);
  const needs = 4 * WORDS * parametersOf(list) + 2 * spec.copyMegabytes * 2 ** 20;
  if (needs > availableBytes()) {
    throw new Unavailable(`needs ${gigabytes(needs)}, ${gigabytes(availableBytes())} are free`);
  }
  const output = await inFolder((folder) => {
    const variables = path.join(folder, 'variables.txt');
    fs.writeFileSync(variables, listText(list));
    return runNative(program, {
      variables,
      rounds: spec.rounds,
      threads: threadCounts().join(','),
      'copy-megabytes': spec.copyMegabytes,
      'min-sample-ms': 1000 * spec.minSampleSeconds,
    });
  });
  return summarizeOutput(JSON.parse(output) as KernelOutput, list);
}

function isCopy(name: string): boolean {
  return name === 'copy' || name === 'stream-copy';
}

function summarizeOutput({ simd, elements, copyBytes, runs }: KernelOutput, list: VariableList): KernelRun[] {
  if (elements !== parametersOf(list)) {
    throw new Error(`kernel_bench took ${list.label} for ${elements} elements, not ${parametersOf(list)}`);
  }
  return runs.map(({ threads, contenders }) => {
    const copy = contenders.find(({ name }) => name === 'copy');
    if (copy === undefined) throw new Error('kernel_bench printed no copy');
    const stream = contenders.find(({ name }) => name === 'stream-copy');
    const timed = contenders.map(({ name, repeats, seconds }) => {
      const { label, bytes } = CONTENDERS[name] ?? { label: name, bytes: 0 };
      // So that GB/s come out right for the copies too, whose buffers have another length.
      const perParameter = isCopy(name) ? (2 * copyBytes) / elements : bytes;
      return { name, label, implementation: simd, bytesPerParameter: perParameter, repeats, seconds };
    });
    const summarized = summarizeRun(timed, elements, BASELINES).map((contender, i) => {
      const { name, seconds, bytesPerParameter: bytes } = timed[i] as (typeof timed)[number];
      // Share of bandwidth: (bytes / time) / (copied bytes / copy's time), by round.
      const scale = (elements * bytes) / (2 * copyBytes);
      const share = ({ seconds: times }: { seconds: number[] }) =>
        ratioByRound(
          times.map((time) => time * scale),
          seconds,
        );
      return {
        ...contender,
        bytesPerParameter: isCopy(name) ? bytesPerParameter('copy') : bytes,
        // Copies move another number of bytes than steps: their times do not compare.
        ratios: isCopy(name) ? {} : contender.ratios,
        shareOfCopy: share(copy),
        shareOfStreamCopy: stream === undefined ? null : share(stream),
      };
    });
    return { list: sizeOf(list), threads, simd, copyBytes, contenders: summarized };
  });
}

function formatRun({ list, threads, simd, copyBytes, contenders }: KernelRun): string {
  return [
    `Kernels alone, ${list.label} (${millions(list.parameters)}), ${threads} thread${threads === 1 ? '' : 's'}, ` +
      `${simd}; copy of ${copyBytes / 2 ** 20} MiB`,
    table(
      ['', 'ms', 'B/par.', 'GB/s', 'of memcpy', 'of stream', 'x AdamW', 'x rows'],
      contenders.map((contender) => [
        contender.label,
        milliseconds(contender.secondsPerStep),
        fixed(contender.bytesPerParameter, 0),
        fixed(contender.gigabytesPerSecond, 1),
        ratioText(contender.shareOfCopy),
        ratioText(contender.shareOfStreamCopy ?? undefined),
        ratioText(contender.ratios.adamw),
        ratioText(
          contender.name.endsWith('-columns')
            ? contender.ratios[contender.name.replace('-columns', '-rows')]
            : undefined,
        ),
      ]),
    ),
  ].join('\n');
}

export const kernels: Suite<'kernels', KernelSpec> = {
  part: 'kernels',
  build: () => buildNativeBench('kernel_bench'),
  plan: ({ lists, rounds, quick }) => ({
    specs: lists
      .filter((list) => !quick || list !== 'resnet')
      .map((list) => ({
        list: quick && list === 'vit' ? 'vit-ti' : list,
        rounds: rounds ?? (quick ? QUICK_ROUNDS : 31),
        minSampleSeconds: quick ? QUICK_SAMPLE_SECONDS : MIN_SAMPLE_SECONDS,
        copyMegabytes: quick ? 32 : 512,
      })),
  }),
  describe: ({ list }) => `kernels: ${listNamed(list).label}`,
  measure,
  format: (runs) => runs.map(formatRun).join('\n\n'),
};
