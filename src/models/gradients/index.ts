/**
 * Gradients that tfjs lacks, for training what `tfjs-ftp/models` made trainable, and any other tfjs model.
 *
 * Importing it registers them with tfjs-core, for all models of the process and every backend:
 *
 * | of | what tfjs 4.22 does without |
 * |---|---|
 * | `StridedSlice`, `DepthToSpace`, `GatherNd`, `TopK`, `Einsum`, `Cumprod` | throws: no gradient |
 * | `Conv2D`, `DepthwiseConv2dNative` with dilations | throws |
 * | `ResizeBilinear`, `ResizeNearestNeighbor` with `halfPixelCenters` | **a wrong gradient, without an error** |
 * | `Conv2D` with a filter smaller than its stride, on the tensorflow backend | **TensorFlow 2.21 can end the process** |
 * | `BatchMatMul`, `SquaredDifference`, `Maximum`, `Minimum` with an operand that is broadcast; `GatherV2` with indices that depend on what is trained | throws |
 * | `Greater`, `Less`, `LessEqual`, `Equal`, `NotEqual`, `LogicalAnd`, `LogicalOr`, `LogicalNot`, `Any`, `All` | throws; the gradient is zero |
 * | on the wasm backend: the filter of `Conv2D`, both inputs of `DepthwiseConv2dNative`, `GatherV2` | throws: no kernel |
 *
 * Where tfjs has a gradient of its own for the same attributes, that one stays. The kernels for the wasm backend
 * are made of its other operations.
 *
 * @example
 * ```ts
 * import 'tfjs-ftp/models/gradients';
 *
 * const slope = tf.grad((x) => tf.sum(tf.stridedSlice(x, [0], [4], [2])));
 * slope(tf.tensor1d([1, 2, 3, 4])).print(); // [1, 0, 1, 0]
 * ```
 *
 * @packageDocumentation
 */

import { registerAlgebra } from './algebra.js';
import { registerConvolutions } from './convolution.js';
import { registerResizes } from './resize.js';

export { GRADIENTS } from './names.js';

import { registerSlicing } from './slicing.js';

registerConvolutions();
registerSlicing();
registerResizes();
registerAlgebra();
