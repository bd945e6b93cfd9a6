import { type StateImplementation, type StateSpec, slotsOf, type VariableState } from '../backends/types.js';

/**
 * New state with given slots, and zeros for those that are not given; nothing is left behind on an error.
 *
 * @param anchor where the slots have none.
 */
export function filledState<A, V, W>(
  implementation: StateImplementation<A, V, W>,
  spec: StateSpec,
  slots: ReadonlyMap<string, A | W>,
  anchor: A | W | null,
): VariableState {
  const state = implementation.createState(spec, slots.get('anchor') ?? anchor);
  try {
    for (const { name } of slotsOf(spec)) {
      const value = slots.get(name);
      if (value !== undefined && name !== 'anchor') implementation.write(state, name, value);
    }
    return state;
  } catch (error) {
    implementation.disposeState(state);
    throw error;
  }
}
