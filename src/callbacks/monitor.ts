/** Which log a callback looks at, and what is better. */

import { checkChoice, checkNumber, describe } from '../validate.js';
import { type FitLogs, readLog, type TrainedModel } from './fit_callback.js';

/** Options of callbacks that look at one of the logs. */
export interface MonitorOptions {
  /** Name of a log at the end of an epoch: `'loss'`, a metric, or one with `val_` before it. Default: `'val_loss'`. */
  monitor?: string;
  /**
   * Whether less (`'min'`) or more (`'max'`) is better. `'auto'` (default): more for names with `acc` in them, less for names
   * with `loss`; any other name needs a choice.
   */
  mode?: 'auto' | 'min' | 'max';
  /** What a change must exceed to count as better, >= 0, in units of the log. */
  minDelta?: number;
}

export const MONITOR_KEYS = ['monitor', 'mode', 'minDelta'];

/** Checked options, with what they mean. */
export interface Monitor {
  /** Worse than any number. */
  worst: number;
  isBetter(value: number, best: number): boolean;
  /**
   * Whether the log is not there since `model.stopTraining` has cut an epoch, after which tfjs does not validate. There is
   * nothing to say of such an epoch.
   */
  isCut(logs: FitLogs, model: TrainedModel): boolean;
  /** @throws RangeError if there is no such log, naming those that there are. */
  read(logs: FitLogs): Promise<number>;
}

export function resolveMonitor(options: MonitorOptions, defaultDelta: number): Monitor {
  const { monitor = 'val_loss', mode = 'auto', minDelta = defaultDelta } = options;
  if (typeof monitor !== 'string') {
    throw new TypeError(`monitor must be the name of a log, got ${describe(monitor)}`);
  }
  checkChoice('mode', mode, ['auto', 'min', 'max']);
  checkNumber('minDelta', minDelta, { min: 0 });
  const direction = mode === 'auto' ? directionOf(monitor) : mode;
  return {
    worst: direction === 'max' ? -Infinity : Infinity,
    isBetter: (value, best) => (direction === 'max' ? value > best + minDelta : value < best - minDelta),
    isCut: (logs, model) => model.stopTraining && monitor.startsWith('val_') && !Object.hasOwn(logs, monitor),
    read: (logs) => readMonitored(logs, monitor),
  };
}

function directionOf(monitor: string): 'min' | 'max' {
  if (/acc/i.test(monitor)) return 'max';
  if (/loss/i.test(monitor)) return 'min';
  throw new RangeError(
    `mode must be 'min' or 'max' for the log ${describe(monitor)}, whose name does not tell, got 'auto'`,
  );
}

async function readMonitored(logs: FitLogs, monitor: string): Promise<number> {
  const value = Object.hasOwn(logs, monitor) ? logs[monitor] : undefined;
  if (value !== undefined) return readLog(value);
  const names = Object.keys(logs);
  const hint =
    monitor.startsWith('val_') && !names.some((name) => name.startsWith('val_'))
      ? '; those that begin with val_ need validationData or validationSplit'
      : '';
  const known = names.map((name) => `'${name}'`).join(', ') || 'there are none';
  throw new RangeError(
    `monitor must be one of the logs at the end of an epoch (${known}), got '${monitor}'${hint}`,
  );
}
