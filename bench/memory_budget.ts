/** What fits into memory, before anything is allocated: a benchmark that swaps or is killed measures nothing. */

import fs from 'node:fs';
import os from 'node:os';
import { WASM_BYTES } from './backends.js';
import type { StepContender } from './contenders.js';
import type { BackendName } from './specs.js';

/** What node, tfjs, and libtensorflow take beside the tensors. */
const RUNTIME_BYTES = 1e9;
const BYTES_PER_WORD = 4;

/** Bytes that can be allocated without pushing anything out. */
export function availableBytes(): number {
  try {
    const [, kilobytes] = /^MemAvailable:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/meminfo', 'utf8')) ?? [];
    if (kilobytes !== undefined) return 1024 * Number(kilobytes);
  } catch {
    // Not Linux.
  }
  return os.freemem();
}

/** Words a parameter that contenders take together, in all and in the backend's tensors. */
function wordsOf(
  contenders: readonly StepContender[],
  backend: BackendName,
): { all: number; tensors: number } {
  let all = 1; // the gradients
  let tensors = 1;
  let transient = 0;
  for (const { words, stateInTensors } of contenders) {
    all += 1 + words.state;
    tensors += 1 + (stateInTensors || backend === 'tensorflow' ? words.state : 0);
    transient = Math.max(transient, words.transient);
  }
  return { all: all + transient, tensors: tensors + transient };
}

/**
 * Drops contenders, the hungriest first, until the others fit side by side.
 *
 * @returns those that stay, and a reason for each that does not
 */
export function fitContenders(
  contenders: readonly StepContender[],
  parameters: number,
  backend: BackendName,
  available = availableBytes(),
): { kept: StepContender[]; dropped: Array<{ contender: StepContender; reason: string }> } {
  const kept = [...contenders];
  const dropped: Array<{ contender: StepContender; reason: string }> = [];
  for (;;) {
    const words = wordsOf(kept, backend);
    const needs = words.all * BYTES_PER_WORD * parameters + RUNTIME_BYTES;
    const inTensors = words.tensors * BYTES_PER_WORD * parameters;
    const tooLarge =
      needs > available
        ? `all together need ${gigabytes(needs)}, ${gigabytes(available)} are free`
        : backend === 'wasm' && inTensors > WASM_BYTES
          ? `all together need ${gigabytes(inTensors)} of the wasm backend's memory, which ends at 4 GB`
          : null;
    if (tooLarge === null || kept.length === 0) return { kept, dropped };
    const hungriest = kept.reduce((most, contender) =>
      appetite(contender) > appetite(most) ? contender : most,
    );
    kept.splice(kept.indexOf(hungriest), 1);
    dropped.push({ contender: hungriest, reason: tooLarge });
  }
}

function appetite({ words }: StepContender): number {
  return words.state + words.transient;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
