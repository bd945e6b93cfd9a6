/**
 * The fused native step under tfjs-node: a custom TensorFlow op that updates the whole model in one
 * call. State slabs are tensors that our own op allocated; they are updated in place, so they are never
 * read directly (TensorFlow caches reads) but through TfjsFtpRead, which copies.
 */

import { engine, type KernelBackend, keep, reshape, type Tensor, util } from '@tensorflow/tfjs-core';
import type { NativeAddon, NativeSection, NativeStateLayout } from '../native/addon.js';
import {
  fromSection,
  gradientFailure,
  isPlain,
  nativeFailure,
  sectionOf,
  slabLayout,
  toSection,
} from './native_state.js';
import { PlanEncoder, putInt64 } from './plan.js';
import {
  type Implementation,
  type StateSpec,
  type StepSettings,
  slotsOf,
  type VariableState,
  type VariableUpdate,
} from './types.js';

/** An op attribute as tfjs-node's binding takes it. */
interface OpAttribute {
  name: string;
  type: number;
  value: number;
}

/** The fields of tfjs-node's backend that are used; checked at run time by {@link nodeBackend}. */
export interface NodeBackend extends KernelBackend {
  binding: { TF_ATTR_INT: number };
  isUsingGpuDevice: boolean;
  executeSingleOutput(name: string, attributes: OpAttribute[], inputs: Tensor[]): Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: OpAttribute[],
    inputs: Tensor[],
    outputs: number,
  ): Tensor[];
}

/** The backend of tfjs-node, or why it cannot be used. */
export function nodeBackend(backend: KernelBackend): NodeBackend | string {
  const node = backend as Partial<NodeBackend>;
  if (typeof node.executeMultipleOutputs !== 'function' || typeof node.executeSingleOutput !== 'function') {
    return "the 'tensorflow' backend is not tfjs-node's (it has no executeMultipleOutputs)";
  }
  if (typeof node.binding?.TF_ATTR_INT !== 'number') return "tfjs-node's backend has no binding";
  return node as NodeBackend;
}

class OpState implements VariableState {
  constructor(
    readonly spec: StateSpec,
    readonly layout: NativeStateLayout,
    readonly slab: Tensor,
  ) {}
}

/** An int32 tensor of int64 words. */
function int64Tensor(...values: number[]): Tensor {
  const words = new Int32Array(2 * values.length);
  for (const [i, value] of values.entries()) putInt64(words, 2 * i, value);
  return engine().makeTensor(words, [words.length], 'int32') as Tensor;
}

/** The memory of a section that holds `value`. */
function packedTensor(section: NativeSection, value: Tensor): Tensor {
  const memory = toSection(section, value.dataSync<'float32'>());
  return engine().makeTensor(memory, [memory.length], 'float32') as Tensor;
}

/**
 * `output` in the shape of its variable. TensorFlow knows another one where the variable was made by reshaping on
 * another backend: tfjs moves the data with the shape that it had first.
 */
function inShape(output: Tensor, shape: number[]): Tensor {
  if (util.arraysEqual(output.shape, shape)) return output;
  const shaped = reshape(output, shape);
  output.dispose();
  return shaped;
}

/** The custom ops on tfjs-node's backend. */
export class OpImplementation implements Implementation {
  private readonly encoder = new PlanEncoder();
  private attributes: OpAttribute[] = [];
  private inputs: Tensor[] = [];
  private states = 0;

  constructor(
    private readonly addon: NativeAddon,
    private readonly backend: NodeBackend,
    readonly name: 'tensorflow-gpu' | 'tensorflow-cpu',
  ) {}

  createState(spec: StateSpec, anchor: Tensor | null): VariableState {
    const layout = slabLayout(this.addon, spec);
    const length = int64Tensor(layout.length);
    let slab: Tensor;
    try {
      slab = keep(this.backend.executeSingleOutput('TfjsFtpAllocate', [], [length]));
    } catch (error) {
      throw nativeFailure(`allocating the state of '${spec.name}'`, error);
    } finally {
      length.dispose();
    }
    const state = new OpState(spec, layout, slab);
    if (anchor !== null) {
      try {
        this.write(state, 'anchor', anchor);
      } catch (error) {
        slab.dispose();
        throw error;
      }
    }
    ++this.states;
    return state;
  }

  step(settings: StepSettings, updates: VariableUpdate[]): Tensor[] {
    const count = updates.length;
    const { inputs } = this;
    inputs.length = 3 * count + 1;
    for (let i = 0; i < count; ++i) {
      const update = updates[i] as VariableUpdate;
      inputs[1 + i] = (update.state as OpState).slab;
      inputs[1 + count + i] = update.weights;
      inputs[1 + 2 * count + i] = update.gradient;
      if (update.proposal !== null) inputs.push(update.proposal);
    }
    const proposals = inputs.length - (3 * count + 1);
    const words = this.encoder.encode(settings, updates);
    const plan = engine().makeTensor(words, [words.length], 'int32') as Tensor;
    inputs[0] = plan;
    if (this.attributes[0]?.value !== count) {
      // Attributes are part of TensorFlow's kernel cache key: only what is constant over a run goes here.
      const type = this.backend.binding.TF_ATTR_INT;
      this.attributes = [
        { name: 'N', type, value: count },
        { name: 'M', type, value: proposals },
      ];
    }
    try {
      const outputs = this.backend.executeMultipleOutputs('TfjsFtpStep', this.attributes, inputs, count);
      return outputs.map((output, i) => inShape(output, (updates[i] as VariableUpdate).weights.shape));
    } catch (error) {
      throw gradientFailure('the TensorFlow op TfjsFtpStep', error);
    } finally {
      plan.dispose();
      inputs.length = 0;
    }
  }

  gather(settings: StepSettings, updates: VariableUpdate[], want: number): Float64Array {
    const words = this.encoder.encode(settings, updates);
    const plan = engine().makeTensor(words, [words.length], 'int32') as Tensor;
    const wanted = engine().makeTensor(new Int32Array([want]), [1], 'int32') as Tensor;
    const inputs = [
      plan,
      ...updates.map(({ state }) => (state as OpState).slab),
      ...updates.map(({ weights }) => weights),
      ...updates.map(({ gradient }) => gradient),
      wanted,
    ];
    const attributes = [{ name: 'N', type: this.backend.binding.TF_ATTR_INT, value: updates.length }];
    try {
      const output = this.backend.executeSingleOutput('TfjsFtpGather', attributes, inputs);
      // A copy: what TensorFlow gives need not start at a multiple of eight bytes.
      const numbers = new Float64Array(output.dataSync<'int32'>().slice().buffer);
      output.dispose();
      return numbers;
    } catch (error) {
      throw gradientFailure('the TensorFlow op TfjsFtpGather', error);
    } finally {
      plan.dispose();
      wanted.dispose();
    }
  }

  read(state: VariableState, slot: string): Tensor {
    const { slab, layout, spec } = state as OpState;
    const section = sectionOf(layout, slot);
    const { offset, length, count } = section;
    const shape = slotsOf(spec).find(({ name }) => name === slot)?.shape ?? [count];
    return onBackend('tensorflow', () => {
      const range = int64Tensor(offset, length);
      try {
        const flat = this.backend.executeSingleOutput('TfjsFtpRead', [], [slab, range]);
        const shaped = isPlain(section)
          ? reshape(flat, shape)
          : (engine().makeTensor(
              fromSection(section, flat.dataSync<'float32'>()),
              shape,
              'float32',
            ) as Tensor);
        flat.dispose();
        return shaped;
      } catch (error) {
        throw nativeFailure(`reading '${spec.name}/${slot}'`, error);
      } finally {
        range.dispose();
      }
    });
  }

  write(state: VariableState, slot: string, value: Tensor): void {
    const { slab, layout, spec } = state as OpState;
    const section = sectionOf(layout, slot);
    onBackend('tensorflow', () => {
      const words = int64Tensor(section.offset);
      const packed = isPlain(section) ? null : packedTensor(section, value);
      try {
        this.backend.executeSingleOutput('TfjsFtpWrite', [], [slab, packed ?? value, words]).dispose();
      } catch (error) {
        throw nativeFailure(`writing '${spec.name}/${slot}'`, error);
      } finally {
        words.dispose();
        packed?.dispose();
      }
    });
  }

  disposeState(state: VariableState): void {
    (state as OpState).slab.dispose();
    // The memory that this optimizer's outputs would have taken at its next step.
    if (--this.states === 0) this.addon.outputMemory(true);
  }
}

/**
 * Runs `f` with `name` as the active backend. Tensors that a backend makes are recorded under the active
 * one, so another backend's state can only be read while it is active. setBackend of a backend that is
 * initialised already takes effect before it first awaits.
 */
function onBackend<T>(name: string, f: () => T): T {
  const current = engine().backendName;
  if (current === name) return f();
  void engine().setBackend(name);
  try {
    return f();
  } finally {
    void engine().setBackend(current);
  }
}
