/**
 * Releases tensors that were handed out and dropped without disposal. `model.save(...,
 * {includeOptimizer: true})` never disposes what `getWeights()` returns, which would leak several times the
 * model's size with every save.
 */

import { engine, type Tensor } from '@tensorflow/tfjs-core';

/** What the engine's disposal needs of a tensor, without keeping the tensor itself alive. */
interface Remains {
  dataId: object;
  dtype: string;
  shape: number[];
  size: number;
}

const registry = new FinalizationRegistry<Remains>((remains) => {
  engine().disposeTensor(remains as Tensor);
});

/** Makes the garbage collector dispose `tensor` when it is dropped; disposing it by hand stays right. */
export function disposeWhenCollected(tensor: Tensor): Tensor {
  const token = {};
  const { dataId, dtype, shape, size } = tensor;
  const disposeByHand = tensor.dispose;
  tensor.dispose = function dispose(this: Tensor) {
    registry.unregister(token);
    disposeByHand.call(this);
  };
  registry.register(tensor, { dataId, dtype, shape, size }, token);
  return tensor;
}
