/** Float32Arrays and DeviceBuffers behind one interface, so that one test body serves both. */
import {
  createFusedStep,
  cudaInfo,
  DeviceBuffer,
  type FusedArray,
  type FusedStep,
  type FusedStepOptions,
} from '../../src/native/index.js';
import { whyNoAddon } from './skip.js';

export interface ArrayKind<A extends FusedArray> {
  label: string;
  make(values: Float32Array): A;
  /** A copy. */
  read(array: A): Float32Array;
  write(array: A, values: Float32Array): void;
  free(array: A): void;
  /** Why it cannot be tested here; null: it can. Asked late: test/device chooses the addon first. */
  readonly missing: string | null;
}

export const HOST: ArrayKind<Float32Array> = {
  label: 'Float32Arrays',
  make: (values) => values.slice(),
  read: (array) => array.slice(),
  write: (array, values) => array.set(values),
  free: () => {},
  get missing() {
    return whyNoAddon();
  },
};

/** Why there is no CUDA device that the addon can use; null: there is one. */
export function whyNoDevice(): string | null {
  const { available, reason } = cudaInfo();
  return available ? null : `no CUDA device: ${reason}`;
}

export const DEVICE: ArrayKind<DeviceBuffer> = {
  label: 'DeviceBuffers',
  make: (values) => DeviceBuffer.from(values),
  read: (array) => array.download(),
  write: (array, values) => array.upload(values),
  free: (array) => array.free(),
  get missing() {
    return whyNoDevice();
  },
};

/** {@link createFusedStep} for whatever kind. */
export const createStep = createFusedStep as <A extends FusedArray>(
  options: FusedStepOptions<A>,
) => FusedStep<A>;
