/** What layers compute, changed for a while: wrappers around their `call` that come off in any order. */

import type { LayerNode } from './model.js';

type Call = LayerNode['call'];
/** Makes a `call` of another one. */
export type CallWrapper = (call: Call) => Call;

/** Layers with wrappers, the innermost first, and the layer's own `call` if it had one. */
const wrapped = new WeakMap<LayerNode, { wrappers: CallWrapper[]; own: PropertyDescriptor | undefined }>();

/**
 * Puts a wrapper around a layer's `call`.
 *
 * @returns takes it off again; the others stay. Calling it again does nothing.
 */
export function wrapCall(layer: LayerNode, wrapper: CallWrapper): () => void {
  const own = Object.getOwnPropertyDescriptor(layer, 'call');
  const state = wrapped.get(layer) ?? { wrappers: [], own };
  wrapped.set(layer, state);
  // A function of its own, so that the same wrapper may be there twice.
  const entry: CallWrapper = (call) => wrapper(call);
  state.wrappers.push(entry);
  apply(layer, state);
  return () => {
    const at = state.wrappers.indexOf(entry);
    if (at < 0) return;
    state.wrappers.splice(at, 1);
    apply(layer, state);
  };
}

function apply(
  layer: LayerNode,
  { wrappers, own }: { wrappers: CallWrapper[]; own: PropertyDescriptor | undefined },
) {
  delete (layer as Partial<LayerNode>).call;
  if (own !== undefined) Object.defineProperty(layer, 'call', own);
  if (wrappers.length === 0) {
    wrapped.delete(layer);
    return;
  }
  const call = layer.call.bind(layer);
  layer.call = wrappers.reduce((inner, wrapper) => wrapper(inner), call);
}
