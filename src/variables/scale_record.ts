import type { StateImplementation } from '../backends/types.js';
import { anchorNorm } from './anchor_norm.js';
import type { StepRecord } from './variable_record.js';

/** Works out a record's factor on its rule's number; to be called anew when its anchor has changed. */
export function scaleRecord<A, V, W>(
  implementation: StateImplementation<A, V, W>,
  record: StepRecord<A>,
): void {
  const { state, placeScale } = record;
  const ofAnchor = state.spec.method.anchorScale;
  record.ruleScale = placeScale * (ofAnchor === null ? 1 : ofAnchor(anchorNorm(implementation, state)));
}
