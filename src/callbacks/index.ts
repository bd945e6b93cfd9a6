/**
 * Callbacks for `model.fit` and `model.fitDataset`, for any optimizer.
 *
 * tfjs-layers must be loaded before one is made, as `import '@tensorflow/tfjs-node'` does. In a browser, `useLayers(tf)`
 * comes first.
 *
 * @module
 */

export { type EarlyStopping, type EarlyStoppingOptions, earlyStopping } from './early_stopping.js';
export { type FitCallback, type FitLogs, type FitParams, useLayers } from './fit_callback.js';
export type { MonitorOptions } from './monitor.js';
export { type ProgressOptions, type ProgressStream, progress } from './progress.js';
export { type ReduceOnPlateau, type ReduceOnPlateauOptions, reduceOnPlateau } from './reduce_on_plateau.js';
export type { Stateful } from './stateful.js';
export { type SummaryWriter, type TensorBoardOptions, tensorBoard } from './tensor_board.js';
