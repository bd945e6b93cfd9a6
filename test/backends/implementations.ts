/**
 * Every way the library can run under tfjs, for suites that repeat one body on each. What is missing on this machine
 * carries its reason and becomes a named skip; with TFJS_FTP_REQUIRE_TENSORFLOW=1 a missing TensorFlow or a missing
 * addon is a failure instead. TFJS_FTP_TEST_ONLY=LABEL leaves out all but one (subjects.ts too).
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { describeOrSkip, whyNoAddon, whyNoTensorflow } from './skip.js';

export interface TestImplementation {
  label: string;
  backend: 'cpu' | 'wasm' | 'tensorflow';
  implementation: 'native' | 'reference';
  /** what `optimizer.implementation` must say */
  runs: 'tensorflow-gpu' | 'tensorflow-cpu' | 'wasm' | 'cpu' | 'reference';
  /** why it cannot run here; null: it can */
  missing: string | null;
}

const addon = whyNoAddon();
const tensorflow = await whyNoTensorflow();

const only = process.env.TFJS_FTP_TEST_ONLY;

/** Whether suites shall run what has this label. */
export function isWanted({ label }: { label: string }): boolean {
  return only === undefined || label === only;
}

const ALL: readonly TestImplementation[] = [
  {
    label: 'reference on cpu',
    backend: 'cpu',
    implementation: 'reference',
    runs: 'reference',
    missing: null,
  },
  { label: 'native on cpu', backend: 'cpu', implementation: 'native', runs: 'cpu', missing: addon },
  { label: 'native on wasm', backend: 'wasm', implementation: 'native', runs: 'wasm', missing: addon },
  {
    label: 'reference on tensorflow',
    backend: 'tensorflow',
    implementation: 'reference',
    runs: 'reference',
    missing: tensorflow,
  },
  {
    label: 'native on tensorflow',
    backend: 'tensorflow',
    implementation: 'native',
    runs: 'tensorflow-cpu',
    missing: tensorflow ?? addon,
  },
  {
    label: 'native on tensorflow-gpu',
    backend: 'tensorflow',
    implementation: 'native',
    runs: 'tensorflow-gpu',
    missing: "no tfjs-node-gpu: the op's GPU kernels run in test/gpu, on an emulated device",
  },
];

export const IMPLEMENTATIONS = ALL.filter(isWanted);

/** A describe block for each implementation; a missing one is a skip that says why. */
export function describeImplementations(
  subject: string,
  body: (implementation: TestImplementation) => void,
  filter: (implementation: TestImplementation) => boolean = () => true,
): void {
  for (const implementation of IMPLEMENTATIONS.filter(filter)) {
    describeOrSkip(
      `${subject}, ${implementation.label}`,
      implementation.missing,
      () => body(implementation),
      {
        mayBeMissing: implementation.runs === 'tensorflow-gpu',
      },
    );
  }
}

/** Makes the implementation's backend the current one. */
export async function useBackend({ backend }: TestImplementation): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs backend ${backend} does not start`);
  await tf.ready();
}
