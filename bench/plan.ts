/** Which trials a run consists of. */

import { STEP_CONTENDERS } from './contenders.js';
import type { CudaSpec } from './cuda.js';
import type { KernelSpec } from './kernels.js';
import { listNamed, parametersOf } from './lists/index.js';
import { fitContenders } from './memory_budget.js';
import type { BenchReport } from './schema.js';
import type { BackendName, MemorySpec, StepSpec, Timing, TrainSpec } from './specs.js';

export const SUITES = ['step', 'kernels', 'train', 'cuda'] as const;
export type Suite = (typeof SUITES)[number];

/** What `--list` takes. ViT stands for ViT-B/16 and, where that is too much, ViT-Ti/16. */
export const LIST_CHOICES = ['vit', 'resnet', 'tiny'] as const;
export type ListChoice = (typeof LIST_CHOICES)[number];

export interface BenchOptions {
  suites: readonly Suite[];
  lists: readonly ListChoice[];
  /** In place of each suite's own number. */
  rounds?: number;
  /** Small lists, few rounds: to see that everything works. */
  quick: boolean;
  /** Whether to print the project's targets. */
  targets: boolean;
}

type LeftOut = BenchReport['leftOut'];

interface Planned<Spec> {
  specs: Spec[];
  leftOut: LeftOut;
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

const MEMORY_CHOICES: ReadonlyArray<{ backend: BackendName; contenders: readonly string[] }> = [
  {
    backend: 'tensorflow',
    contenders: ['tf-adam', 'tf-sgd', 'ftp-adamw', 'ftp-sgd', 'adamw', 'reference-adamw'],
  },
  { backend: 'wasm', contenders: ['tf-adam', 'ftp-adamw', 'ftp-sgd', 'adamw'] },
  { backend: 'cpu', contenders: ['tf-adam', 'ftp-adamw', 'ftp-sgd', 'adamw'] },
];

const QUICK_ROUNDS = 3;
/** Samples shorter than this take several steps. */
const MIN_SAMPLE_SECONDS = 0.05;
const QUICK_SAMPLE_SECONDS = 0.002;
const WARM_UP_SECONDS = 0.5;

function timing({ rounds, quick }: BenchOptions, usualRounds: number, minSampleSeconds: number): Timing {
  return quick
    ? { rounds: rounds ?? QUICK_ROUNDS, minSampleSeconds: QUICK_SAMPLE_SECONDS, warmUpSeconds: 0 }
    : { rounds: rounds ?? usualRounds, minSampleSeconds, warmUpSeconds: WARM_UP_SECONDS };
}

/** Suite `step`, with what does not fit or takes too long left out. */
export function planSteps(options: BenchOptions): Planned<StepSpec> {
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
      kind: 'step',
      backend,
      list,
      contenders: kept.map(({ name }) => name),
      timing: timing(options, choice.rounds, MIN_SAMPLE_SECONDS),
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

/** Memory is measured on one list: large enough that the runtime's own ups and downs do not show. */
export function planMemory({ lists, quick }: BenchOptions): MemorySpec[] {
  if (quick) return lists.includes('vit') ? [memorySpec('tensorflow', 'vit-ti', 'ftp-adamw')] : [];
  if (!lists.includes('resnet')) return [];
  return MEMORY_CHOICES.flatMap(({ backend, contenders }) =>
    contenders.map((contender) => memorySpec(backend, 'resnet', contender)),
  );
}

function memorySpec(backend: BackendName, list: string, contender: string): MemorySpec {
  return { kind: 'memory', backend, list, contender };
}

export function planKernels({ lists, rounds, quick }: BenchOptions): KernelSpec[] {
  return lists
    .filter((list) => !quick || list !== 'resnet')
    .map((list) => ({
      list: quick && list === 'vit' ? 'vit-ti' : list,
      rounds: rounds ?? (quick ? QUICK_ROUNDS : 31),
      minSampleSeconds: quick ? QUICK_SAMPLE_SECONDS : MIN_SAMPLE_SECONDS,
      copyMegabytes: quick ? 32 : 512,
    }));
}

export function planTrain(options: BenchOptions): TrainSpec {
  const batchSize = options.quick ? 8 : 32;
  return { kind: 'train', timing: timing(options, 61, 2 * MIN_SAMPLE_SECONDS), batchSize };
}

/** A list of cuda_bench; small ones say little on a GPU, so the one that `tiny` stands for there has 10,000 variables. */
type CudaList = 'vit' | 'resnet' | 'tiny-10k' | 'billion';

/** Of ViT-B/16 everything, of the other lists what the targets speak of; a sweep where no list was asked for. */
const CUDA_CONTENDERS: Record<CudaList, Record<string, string>> = {
  vit: {
    optimizer: 'ftp-adamw,ftp-adamw-amsgrad,ftp-adamw-decay,ftp-sgd-momentum,projection,adamw',
    check: 'off,on',
  },
  resnet: { optimizer: 'ftp-adamw,ftp-sgd-momentum,adamw' },
  'tiny-10k': { optimizer: 'ftp-adamw,ftp-sgd-momentum,adamw' },
  billion: { optimizer: 'ftp-adamw,adamw' },
};

export function planCuda({ lists, rounds, quick }: BenchOptions): CudaSpec[] {
  const common = {
    rounds: rounds ?? (quick ? QUICK_ROUNDS : 15),
    ...(quick ? { 'min-sample-ms': 1000 * QUICK_SAMPLE_SECONDS, 'copy-megabytes': 64 } : {}),
  };
  const all = lists.length === LIST_CHOICES.length;
  const named: CudaList[] = lists
    .filter((list) => !quick || list !== 'resnet')
    .map((list) => (list === 'tiny' ? 'tiny-10k' : list));
  if (all && !quick) named.push('billion');
  const specs: CudaSpec[] = named.map((list) => ({
    label: `list ${list}`,
    options: { list, ...CUDA_CONTENDERS[list], ...common },
  }));
  if (all) {
    const elements = quick ? '1048576' : '1048576,16777216,268435456';
    specs.push({ label: 'sweep', options: { elements, ...common } });
  }
  return specs;
}
