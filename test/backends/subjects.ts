/** Everything that can replay a sequence of steps: the tfjs implementations and `tfjs-ftp/native`. */
import { whyNoDevice } from './array_kinds.js';
import { startArraysReplay, startDeviceReplay } from './arrays_replay.js';
import type { StartReplay } from './golden_replay.js';
import { IMPLEMENTATIONS, isWanted, useBackend } from './implementations.js';
import { describeOrSkip, whyNoAddon } from './skip.js';
import { startTfjsReplay } from './tfjs_replay.js';

export interface Subject {
  label: string;
  start: StartReplay;
  /** The kernels on the processor: every element operation as the float32 oracle does it, so its bits can be asked for. */
  native: boolean;
  /** Has tfjs tensors that must not leak. */
  tfjs: boolean;
  prepare(): Promise<void>;
  missing: string | null;
  mayBeMissing: boolean;
}

const ALL: readonly Subject[] = [
  ...IMPLEMENTATIONS.map((implementation) => ({
    label: implementation.label,
    start: startTfjsReplay(implementation),
    native: implementation.implementation === 'native',
    tfjs: true,
    prepare: () => useBackend(implementation),
    missing: implementation.missing,
    mayBeMissing: implementation.runs === 'tensorflow-gpu',
  })),
  {
    label: 'tfjs-ftp/native',
    start: startArraysReplay,
    native: true,
    tfjs: false,
    prepare: async () => {},
    missing: whyNoAddon(),
    mayBeMissing: false,
  },
  {
    label: 'tfjs-ftp/native on a CUDA device',
    start: startDeviceReplay,
    native: false,
    tfjs: false,
    prepare: async () => {},
    missing: whyNoDevice(),
    mayBeMissing: true,
  },
];

export const SUBJECTS = ALL.filter(isWanted);

/** A describe block for each subject; a missing one is a skip that says why (see implementations.ts). */
export function describeSubjects(title: string, body: (subject: Subject) => void): void {
  for (const subject of SUBJECTS) {
    const { label, missing, mayBeMissing } = subject;
    describeOrSkip(`${title}, ${label}`, missing, () => body(subject), { mayBeMissing });
  }
}
