/** The states of a fused step, and what its bookkeeping asks of the memory of its arrays, whatever kind it is. */

import { gradientFailure, sectionOf, slabLayout } from '../backends/native_state.js';
import { PlanEncoder, type StepSettings } from '../backends/plan.js';
import type { StateImplementation, StateSpec, VariableState, VariableUpdate } from '../backends/types.js';
import type { StateFormat } from '../options.js';
import type { NativeAddon, NativeSection, NativeStateLayout } from './addon.js';
import type { DeviceBuffer } from './device_buffer.js';

/** The arrays that a fused step works on: all of one kind. */
export type FusedArray = Float32Array | DeviceBuffer;

/** The bytes of an array: `memory` is the same object for arrays that may overlap. */
export interface Extent {
  memory: unknown;
  start: number;
  end: number;
}

/** Whether none of the values is NaN or an infinity. */
export function allFinite(values: Float32Array): boolean {
  // NaN and infinities times 0 are NaN, and stay so in the sum.
  let sum = 0;
  for (let i = 0; i < values.length; ++i) sum += (values[i] as number) * 0;
  return sum === 0;
}

interface SlabState<A> extends VariableState {
  readonly layout: NativeStateLayout;
  /** An array that holds the state of one variable. */
  readonly slab: A;
}

/** Arrays of one kind. A step writes in place of the weights. */
export abstract class FusedStorage<A extends FusedArray>
  implements StateImplementation<A, Float32Array, Float32Array | number>
{
  private readonly encoder = new PlanEncoder();

  constructor(protected readonly addon: NativeAddon) {}

  /** `value`, if it is an array of this storage with so many elements; else an error that names it `what`. */
  abstract checkArray(what: string, value: unknown, elements: number): A;
  /** @throws FtpError where steps on such arrays lack a format of the state. */
  abstract checkFormat(format: StateFormat): void;
  /** Empty for memory that has gone. */
  abstract extentOf(array: A): Extent;
  /** Whether all its numbers are finite; reads all of it. */
  abstract isFinite(array: A): boolean;
  /** Gives up what the storage itself holds. */
  abstract dispose(): void;

  /** A slab of zeros. */
  protected abstract newSlab(length: number): A;
  /** Gives up a slab that nothing refers to any more. */
  protected abstract freeSlab(slab: A): void;
  /** A copy of a section's numbers. */
  protected abstract readSection(slab: A, section: NativeSection): Float32Array;
  /** Writes the numbers of a section, as many as it holds; a number into every element. */
  protected abstract writeSection(slab: A, section: NativeSection, value: A | Float32Array | number): void;
  /** The native step; throws what the addon throws. */
  protected abstract run(plan: Int32Array, slabs: A[], weights: A[], gradients: A[]): void;

  createState(spec: StateSpec, anchor: A | Float32Array | number | null): VariableState {
    const layout = slabLayout(this.addon, spec);
    const state: SlabState<A> = { spec, layout, slab: this.newSlab(layout.length) };
    try {
      if (anchor !== null) this.write(state, 'anchor', anchor);
      return state;
    } catch (error) {
      this.disposeState(state);
      throw error;
    }
  }

  step(settings: StepSettings, updates: VariableUpdate<A>[]): A[] {
    const plan = this.encoder.encode(settings, updates);
    const weights = updates.map((update) => update.weights);
    try {
      const slabs = updates.map(({ state }) => (state as SlabState<A>).slab);
      const gradients = updates.map(({ gradient }) => gradient);
      this.run(plan, slabs, weights, gradients);
      return weights;
    } catch (error) {
      throw gradientFailure('the native step', error);
    }
  }

  read(state: VariableState, slot: string): Float32Array {
    const { slab, layout } = state as SlabState<A>;
    return this.readSection(slab, sectionOf(layout, slot));
  }

  write(state: VariableState, slot: string, value: A | Float32Array | number): void {
    const { slab, layout } = state as SlabState<A>;
    this.writeSection(slab, sectionOf(layout, slot), value);
  }

  disposeState(state: VariableState): void {
    this.freeSlab((state as SlabState<A>).slab);
  }
}
