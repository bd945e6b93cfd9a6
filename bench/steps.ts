/** `npm run bench -- methods` and `-- options`: a step of each over plain FTP-AdamW's, all in turns, on one list under tfjs-node. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Optimizer } from '@tensorflow/tfjs-core';
import { adamw, digrap, fixedRadius, ftp, l2sp, spd } from 'tfjs-ftp';
import { table } from '../tools/table.js';
import { startBackend } from './backends.js';
import { bytesPerParameter } from './counts.js';
import { fixed, milliseconds, ratioText } from './format.js';
import { listNamed } from './lists.js';
import { interleave } from './measure.js';
import { ratioByRound, summarize } from './statistics.js';
import { makeGradients, Subject } from './subject.js';

const RATE = 1e-3;
const NATIVE = { implementation: 'native' } as const;

interface StepContender {
  name: string;
  label: string;
  bytes: number;
  /** False: its calls only add gradients up. */
  moves?: boolean;
  create(): Optimizer;
}

type Contenders = readonly StepContender[];

/** Bytes are with the check of the gradients, which DiGraP's sums read along. */
const METHODS: Contenders = [
  ['ftp-adamw', bytesPerParameter('ftp-adamw', 'check'), () => ftp.adamw(RATE, NATIVE)],
  ['adamw', bytesPerParameter('adamw', 'check'), () => adamw(RATE, NATIVE)],
  ['l2sp-adamw', bytesPerParameter('l2sp-adamw', 'check'), () => l2sp.adamw(RATE, NATIVE)],
  [
    'fixedRadius-adamw',
    bytesPerParameter('fixed-radius-adamw', 'check'),
    () => fixedRadius.adamw(RATE, { radius: 4, ...NATIVE }),
  ],
  ['spd-adamw', bytesPerParameter('spd-adamw', 'check'), () => spd.adamw(RATE, NATIVE)],
  ['digrap-adamw', bytesPerParameter('digrap-adamw'), () => digrap.adamw(RATE, NATIVE)],
].map(([name, bytes, create]) => ({ name, label: name, bytes, create }) as StepContender);

const checked = bytesPerParameter('ftp-adamw', 'check');

/** FTP-AdamW with what Keras and timm offer. The norms ride on the read of the check. */
const OPTIONS: Contenders = [
  ['ftp-adamw', checked, {}],
  ['clipNorm', checked, { clipNorm: 1 }],
  ['globalClipNorm', checked, { globalClipNorm: 1 }],
  ['clipValue', checked, { clipValue: 0.005 }],
  [
    'groups',
    checked,
    {
      groups: [
        { match: /bias/, weightDecay: 0 },
        { match: 'kernel', learningRateScale: 0.5 },
      ],
    },
  ],
  // Read and written.
  ['ema', checked + 8, { ema: { momentum: 0.999 } }],
  // C, m and v are read a second time; the gradient was, by the check.
  ['learn', checked + 12, { learn: { learningRate: true } }],
].map(([name, bytes, options]) => ({
  name: name as string,
  label: name as string,
  bytes: bytes as number,
  create: () => ftp.adamw(RATE, { ...(options as object), ...NATIVE }),
}));

/** A call that only adds: two reads and a write. */
const ADDITION: StepContender = {
  name: 'accumulate',
  label: 'one call of accumulate that only adds',
  bytes: 12,
  moves: false,
  create: () => ftp.adamw(RATE, { accumulate: 2 ** 20, ...NATIVE }),
};

export const STEP_SETS = { methods: METHODS, options: [...OPTIONS, ADDITION] };

/** Steps 1 and 2 allocate and form deviations from the weights; from the third on, all are alike. */
const TIMING = { minSampleSeconds: 0.05, warmUpSteps: 3, warmUpSeconds: 0.5 };

/** Prints medians over the rounds, and the ratios to FTP-AdamW round by round. */
export async function benchSteps(
  set: keyof typeof STEP_SETS,
  listName: string,
  rounds: number,
): Promise<void> {
  setFlagsFromString('--expose-gc');
  Object.assign(globalThis, { gc: runInNewContext('gc') });
  await startBackend('tensorflow');
  const list = listNamed(listName);
  const gradients = makeGradients(list);
  const subjects = STEP_SETS[set].map((contender) => new Subject(contender, list, gradients));
  const samples = await interleave(subjects, { ...TIMING, rounds });
  for (const subject of subjects) if (subject.contender.moves !== false) subject.check();
  const base = samples[0]?.seconds as number[];
  const rows = subjects.map(({ contender }, i) => {
    const seconds = samples[i]?.seconds as number[];
    return [
      contender.label,
      milliseconds(summarize(seconds)),
      ratioText(ratioByRound(seconds, base)),
      fixed(contender.bytes, 0),
    ];
  });
  console.log(`Step of ${list.label} under tfjs-node, ${rounds} rounds`);
  console.log(table(['', 'ms per step', 'x ftp-adamw', 'B/par.'], rows));
}
