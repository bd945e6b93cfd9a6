/** Suite `step`: public optimizers in turns over one list on one tfjs backend, each list in a process of its own. */

import { type Optimizer, train } from '@tensorflow/tfjs-core';
import { type FtpOptimizer, ftp } from 'tfjs-ftp';
import { table } from '../../tools/table.js';
import { type BackendName, startBackend, WASM_BYTES } from '../backends.js';
import { runTrial } from '../child.js';
import { bytesPerParameter } from '../counts.js';
import { fixed, millions, milliseconds, ratioText } from '../format.js';
import { listNamed, parametersOf, sizeOf } from '../lists.js';
import { interleave, summarizeRun } from '../measure.js';
import { availableBytes, gigabytes } from '../native.js';
import type { StepRun } from '../schema.js';
import { makeGradients, Subject } from '../subject.js';
import {
  type BenchOptions,
  type LeftOut,
  type ListChoice,
  type Suite,
  type Timing,
  timing,
} from '../suite.js';

export interface StepContender {
  name: string;
  label: string;
  create(): Optimizer | FtpOptimizer;
  /** Null: not one pass over memory, so GB/s would say nothing. */
  bytes: number | null;
  /** Words a parameter, to see beforehand what fits: state between steps, and what comes and goes in a step. */
  words: { state: number; transient: number };
  /** Whether its state lies in tensors of the backend. On `wasm` and `cpu` the native step's does not. */
  stateInTensors: boolean;
}

const RATE = 1e-3;
/** Every variable excluded from projection: AdamW alone, on the same machinery. */
const EVERYTHING = [/./];

/** The order is that of the tables. */
export const STEP_CONTENDERS: readonly StepContender[] = [
  {
    name: 'tf-adam',
    label: 'tf.train.adam',
    create: () => train.adam(RATE),
    bytes: null,
    words: { state: 2, transient: 14 },
    stateInTensors: true,
  },
  {
    name: 'tf-sgd',
    label: 'tf.train.sgd',
    create: () => train.sgd(RATE),
    bytes: null,
    words: { state: 0, transient: 1 },
    stateInTensors: true,
  },
  {
    name: 'ftp-adamw',
    label: 'FTP-AdamW',
    create: () => ftp.adamw(RATE, { implementation: 'native' }),
    bytes: bytesPerParameter('ftp-adamw', 'check'),
    words: { state: 4, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'ftp-adamw-ignore',
    label: 'FTP-AdamW, no check',
    create: () => ftp.adamw(RATE, { implementation: 'native', nonFinite: 'ignore' }),
    bytes: bytesPerParameter('ftp-adamw'),
    words: { state: 4, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'ftp-sgd',
    label: 'FTP-SGD',
    create: () => ftp.sgd(RATE, { implementation: 'native' }),
    bytes: bytesPerParameter('ftp-sgd', 'check'),
    words: { state: 2, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'adamw',
    label: 'unprojected AdamW',
    create: () => ftp.adamw(RATE, { implementation: 'native', exclude: EVERYTHING }),
    bytes: bytesPerParameter('adamw', 'check'),
    words: { state: 2, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'reference-adamw',
    label: 'FTP-AdamW, reference',
    create: () => ftp.adamw(RATE, { implementation: 'reference' }),
    bytes: null,
    words: { state: 4, transient: 22 },
    stateInTensors: true,
  },
];

/** Whose times the others' are divided by. */
export const STEP_BASELINES = ['tf-adam', 'tf-sgd', 'adamw', 'ftp-adamw-ignore', 'reference-adamw'] as const;

export function stepContender(name: string): StepContender {
  const contender = STEP_CONTENDERS.find((candidate) => candidate.name === name);
  if (contender === undefined) {
    const known = STEP_CONTENDERS.map((candidate) => candidate.name).join(', ');
    throw new RangeError(`contender must be one of ${known}, got ${name}`);
  }
  return contender;
}

interface StepSpec {
  backend: BackendName;
  list: string;
  contenders: string[];
  timing: Timing;
}

/** The lists of each backend, with the contenders that are not run although they would fit. */
interface Choice {
  backend: BackendName;
  list: string;
  choice: ListChoice;
  rounds: number;
  quick?: boolean;
  without?: { names: readonly string[]; reason: string };
}

const REFERENCE_IS_SLOW = { names: ['reference-adamw'], reason: 'too slow; measured on ViT-Ti/16' };
const CHECK_ELSEWHERE = ['ftp-adamw-ignore'];

const STEP_CHOICES: readonly Choice[] = [
  { backend: 'tensorflow', list: 'vit', choice: 'vit', rounds: 15 },
  { backend: 'tensorflow', list: 'vit-ti', choice: 'vit', rounds: 3, quick: true },
  { backend: 'tensorflow', list: 'resnet', choice: 'resnet', rounds: 15 },
  { backend: 'tensorflow', list: 'tiny', choice: 'tiny', rounds: 31, quick: true },
  { backend: 'wasm', list: 'resnet', choice: 'resnet', rounds: 9, without: REFERENCE_IS_SLOW },
  { backend: 'wasm', list: 'vit-ti', choice: 'vit', rounds: 15 },
  { backend: 'wasm', list: 'tiny', choice: 'tiny', rounds: 31, quick: true },
  { backend: 'cpu', list: 'resnet', choice: 'resnet', rounds: 5, without: REFERENCE_IS_SLOW },
  { backend: 'cpu', list: 'vit-ti', choice: 'vit', rounds: 9 },
  { backend: 'cpu', list: 'tiny', choice: 'tiny', rounds: 31, quick: true },
];

/** What node, tfjs, and libtensorflow take beside the tensors. */
const RUNTIME_BYTES = 1e9;
const BYTES_PER_WORD = 4;

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

/** What does not fit, or takes too long, is left out. */
function plan(options: BenchOptions): { specs: StepSpec[]; leftOut: LeftOut } {
  const { lists, quick } = options;
  const specs: StepSpec[] = [];
  const leftOut: LeftOut = [];
  for (const choice of STEP_CHOICES) {
    const { backend, list, without } = choice;
    // ViT-Ti/16 under TensorFlow only stands in for ViT-B/16 in quick runs.
    const standsIn = backend === 'tensorflow' && list === 'vit-ti';
    if (!lists.includes(choice.choice) || (quick ? choice.quick !== true : standsIn)) continue;
    const { label } = listNamed(list);
    const where = `step: ${backend}, ${label}`;
    const wanted = STEP_CONTENDERS.filter(
      ({ name }) =>
        !without?.names.includes(name) && (backend === 'tensorflow' || !CHECK_ELSEWHERE.includes(name)),
    );
    for (const name of without?.names ?? []) {
      leftOut.push({ what: `${where}, ${name}`, reason: without?.reason as string, failed: false });
    }
    const { kept, dropped } = fitContenders(wanted, parametersOf(listNamed(list)), backend);
    for (const { contender, reason } of dropped) {
      leftOut.push({ what: `${where}, ${contender.name}`, reason, failed: false });
    }
    if (kept.length === 0) continue;
    specs.push({
      backend,
      list,
      contenders: kept.map(({ name }) => name),
      timing: timing(options, choice.rounds),
    });
  }
  if (!quick && lists.includes('vit')) {
    for (const [backend, reason] of [
      ['wasm', "stock Adam's temporaries of ViT-B/16 do not fit into the 4 GB of wasm memory"],
      ['cpu', 'a step of stock Adam takes many seconds'],
    ] as const) {
      leftOut.push({
        what: `step: ${backend}, ViT-B/16`,
        reason: `${reason}; ViT-Ti/16 stands in`,
        failed: false,
      });
    }
  }
  return { specs, leftOut };
}

/** Steps 1 and 2 allocate and form deviations from the weights; from the third on, all are alike. */
const WARM_UP_STEPS = 3;

export async function stepTrial(spec: StepSpec): Promise<StepRun> {
  const { backend } = spec;
  const tensorflow = await startBackend(backend);
  const list = listNamed(spec.list);
  const gradients = makeGradients(list);
  const subjects = spec.contenders.map((name) => new Subject(stepContender(name), list, gradients));
  const samples = await interleave(subjects, { ...spec.timing, warmUpSteps: WARM_UP_STEPS });
  for (const subject of subjects) subject.check();
  const contenders = subjects.map((subject, i) => ({
    name: subject.name,
    label: subject.contender.label,
    implementation: subject.implementation,
    bytesPerParameter: subject.contender.bytes,
    ...(samples[i] as (typeof samples)[number]),
  }));
  return {
    backend,
    tensorflow,
    list: sizeOf(list),
    contenders: summarizeRun(contenders, parametersOf(list), STEP_BASELINES),
  };
}

function formatRun({ backend, tensorflow, list, contenders }: StepRun): string {
  const rows = contenders.map((contender) => [
    contender.label,
    milliseconds(contender.secondsPerStep),
    ratioText(contender.ratios['tf-adam']),
    ratioText(contender.ratios['tf-sgd']),
    ratioText(contender.ratios.adamw),
    ratioText(contender.ratios['reference-adamw']),
    fixed(contender.bytesPerParameter, 0),
    fixed(contender.gigabytesPerSecond, 1),
  ]);
  const check = contenders.find(({ name }) => name === 'ftp-adamw')?.ratios['ftp-adamw-ignore'];
  return [
    `Step of ${list.label} (${list.variables} variables, ${millions(list.parameters)}) on ${backend}` +
      (tensorflow === null ? '' : ` (TensorFlow ${tensorflow})`),
    table(['', 'ms per step', 'x tf adam', 'x tf sgd', 'x AdamW', 'x ref.', 'B/par.', 'GB/s'], rows),
    ...(check === undefined
      ? []
      : [`The check of the gradients (nonFinite: 'throw'): ${ratioText(check)} times the step without it.`]),
  ].join('\n');
}

export const step: Suite<'step', StepSpec> = {
  part: 'step',
  plan,
  describe: ({ backend, list }) => `step: ${backend}, ${listNamed(list).label}`,
  measure: async (spec) => [await runTrial('step', spec)],
  format: (runs) => runs.map(formatRun).join('\n\n'),
};
