/**
 * The fused native step on the `wasm` and `cpu` backends: the addon works on the backend's own typed
 * arrays (views of WASM memory; values of the cpu backend). New weights go into fresh buffers of the
 * backend, state slabs are plain Float32Arrays outside of it.
 */

import { engine, type KernelBackend, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';
import type { NativeAddon, NativeStateLayout } from '../native/addon.js';
import {
  gradientFailure,
  newSlab,
  readSection,
  sectionOf,
  slabLayout,
  writeSection,
} from './native_state.js';
import { PlanEncoder } from './plan.js';
import {
  type Implementation,
  type StateSpec,
  type StepSettings,
  slotsOf,
  type VariableState,
  type VariableUpdate,
} from './types.js';

class ArraysState implements VariableState {
  constructor(
    readonly spec: StateSpec,
    readonly layout: NativeStateLayout,
    readonly slab: Float32Array,
  ) {}
}

/** How a backend's tensors are reached as typed arrays. */
interface ArrayAccess {
  readonly name: 'wasm' | 'cpu';
  /** Brings a tensor into this backend; may move memory. */
  settle(tensor: Tensor): void;
  /** The tensor's own memory; valid until the backend allocates again. */
  view(tensor: Tensor): Float32Array;
  /** A fresh tensor of the backend, with unspecified content, tracked by the engine. */
  allocate(shape: number[]): Tensor;
}

/** The fields of the wasm backend that are used; checked at run time by {@link wasmAccess}. */
interface WasmBackend extends KernelBackend {
  wasm: { HEAPU8: Uint8Array };
  dataIdMap: { get(dataId: object): { memoryOffset: number } };
  makeOutput(shape: number[], dtype: string): TensorInfo;
}

/** Access to the wasm backend's heap, or why there is none. */
export function wasmAccess(backend: KernelBackend): ArrayAccess | string {
  const wasm = backend as Partial<WasmBackend>;
  if (typeof wasm.makeOutput !== 'function' || typeof wasm.dataIdMap?.get !== 'function') {
    return 'this version of the wasm backend has no makeOutput and dataIdMap';
  }
  if (!(wasm.wasm?.HEAPU8 instanceof Uint8Array)) return 'the wasm backend has no HEAPU8';
  if (!(wasm.wasm.HEAPU8.buffer instanceof ArrayBuffer)) return 'the wasm memory is shared between threads';
  const heap = wasm as WasmBackend;
  return {
    name: 'wasm',
    settle: (tensor) => void heap.dataIdMap.get(tensor.dataId),
    view: (tensor) => {
      const { memoryOffset } = heap.dataIdMap.get(tensor.dataId);
      return new Float32Array(heap.wasm.HEAPU8.buffer, memoryOffset, tensor.size);
    },
    allocate: (shape) => {
      const info = heap.makeOutput(shape, 'float32');
      return engine().makeTensorFromTensorInfo(info, heap);
    },
  };
}

/** Access to the cpu backend's values, or why there is none. */
export function cpuAccess(backend: KernelBackend): ArrayAccess | string {
  if (typeof backend.readSync !== 'function') return 'this version of the cpu backend has no readSync';
  // The cpu backend returns its own values, and converts those that a kernel left as plain numbers.
  const values = (tensor: Tensor): Float32Array => {
    const found: unknown = backend.readSync(tensor.dataId);
    return found instanceof Float32Array ? found : Float32Array.from(found as ArrayLike<number>);
  };
  return {
    name: 'cpu',
    settle: values,
    view: values,
    allocate: (shape) => {
      const size = shape.reduce((result, extent) => result * extent, 1);
      return engine().makeTensor(new Float32Array(size), shape, 'float32', backend) as Tensor;
    },
  };
}

/** The addon on typed arrays of a tfjs backend. */
export class ArraysImplementation implements Implementation {
  readonly name: 'wasm' | 'cpu';
  private readonly encoder = new PlanEncoder();

  constructor(
    private readonly addon: NativeAddon,
    private readonly access: ArrayAccess,
  ) {
    this.name = access.name;
  }

  createState(spec: StateSpec, anchor: Tensor | null): VariableState {
    const layout = slabLayout(this.addon, spec);
    const state = new ArraysState(spec, layout, newSlab(this.addon, layout.length));
    if (anchor !== null) this.write(state, 'anchor', anchor);
    return state;
  }

  step(settings: StepSettings, updates: VariableUpdate[]): Tensor[] {
    const { access } = this;
    const plan = this.encoder.encode(settings, updates);
    const proposals = updates.flatMap(({ proposal }) => proposal ?? []);
    const outputs: Tensor[] = [];
    try {
      // Whatever may move the WASM memory comes first; then all views are made.
      for (const { weights, gradient } of updates) {
        access.settle(weights);
        access.settle(gradient);
      }
      proposals.forEach(access.settle);
      for (const { weights } of updates) outputs.push(access.allocate(weights.shape));
      this.addon.step(
        plan,
        updates.map((update) => (update.state as ArraysState).slab),
        updates.map((update) => access.view(update.weights)),
        updates.map((update) => access.view(update.gradient)),
        outputs.map(access.view),
        proposals.map(access.view),
      );
      return outputs;
    } catch (error) {
      for (const output of outputs) output.dispose();
      throw gradientFailure(`the native step on the ${this.name} backend`, error);
    }
  }

  gather(settings: StepSettings, updates: VariableUpdate[], want: number): Float64Array {
    const { access } = this;
    const plan = this.encoder.encode(settings, updates);
    try {
      for (const { weights, gradient } of updates) {
        access.settle(weights);
        access.settle(gradient);
      }
      return this.addon.gather(
        plan,
        updates.map((update) => (update.state as ArraysState).slab),
        updates.map((update) => access.view(update.weights)),
        updates.map((update) => access.view(update.gradient)),
        want,
      );
    } catch (error) {
      throw gradientFailure(`gathering sums on the ${this.name} backend`, error);
    }
  }

  read(state: VariableState, slot: string): Tensor {
    const { slab, layout, spec } = state as ArraysState;
    const values = readSection(slab, sectionOf(layout, slot));
    const shape = slotsOf(spec).find(({ name }) => name === slot)?.shape ?? [values.length];
    return engine().makeTensor(values, shape, 'float32') as Tensor;
  }

  write(state: VariableState, slot: string, value: Tensor): void {
    const { slab, layout } = state as ArraysState;
    writeSection(slab, sectionOf(layout, slot), value.dataSync<'float32'>());
  }

  disposeState(): void {
    // The slab is garbage once the state is dropped.
  }
}
