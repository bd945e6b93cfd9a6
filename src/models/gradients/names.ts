/** What `tfjs-ftp/models/gradients` brings, for those that must name it without importing it. */

/** Names of the tfjs kernels whose gradients `tfjs-ftp/models/gradients` adds or extends. */
export const GRADIENTS: readonly string[] = Object.freeze([
  'Conv2D',
  'DepthwiseConv2dNative',
  'StridedSlice',
  'DepthToSpace',
  'GatherNd',
  'TopK',
  'ResizeBilinear',
  'ResizeNearestNeighbor',
  'GatherV2',
  'BatchMatMul',
  'SquaredDifference',
  'Maximum',
  'Minimum',
  'Einsum',
  'Cumprod',
  'Greater',
  'Less',
  'LessEqual',
  'Equal',
  'NotEqual',
  'LogicalAnd',
  'LogicalOr',
  'LogicalNot',
  'Any',
  'All',
]);

/** Kernels of gradients that it adds to the wasm backend. */
export const WASM_KERNELS: readonly string[] = [
  'Conv2DBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'DepthwiseConv2dNativeBackpropFilter',
  'UnsortedSegmentSum',
];

/** Whether a filter [height, width, ...] is smaller than the stride somewhere: some of the input is never read. */
export function isSmallerThanStride(
  filterShape: readonly number[],
  strides: number | readonly number[],
): boolean {
  const [sh = 1, sw = sh] = typeof strides === 'number' ? [strides, strides] : strides;
  return (filterShape[0] as number) < sh || (filterShape[1] as number) < sw;
}
