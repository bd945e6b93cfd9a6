import { messageStream } from '../platform/node.js';
import { checkOptionKeys, describe } from '../validate.js';
import { type FitCallback, type FitLogs, type FitParams, makeCallback, readMetrics } from './fit_callback.js';

/** Where the progress is written, such as `process.stderr`. */
export interface ProgressStream {
  write(text: string): unknown;
  /** Whether a line can be drawn again. */
  isTTY?: boolean;
  /** Width in characters. */
  columns?: number;
}

/** Options of {@link progress}. */
export interface ProgressOptions {
  /** Default: `process.stderr`; in a browser the console. */
  stream?: ProgressStream;
}

const REDRAW_MS = 100;
const BAR_WIDTH = 20;

/**
 * Shows how far training is: on a terminal one line that is drawn again, at most ten times a second, and elsewhere, as in
 * log files, a line per epoch.
 *
 * ```
 * epoch 3/10 [=========>          ] 19/40 loss 0.1834 acc 0.9375 eta 12s
 * epoch 3/10 40 batches 3.1s loss 0.1802 acc 0.9402 val_loss 0.2114 val_acc 0.9281 eta 22s
 * ```
 *
 * During an epoch the losses and metrics are those of the last batch, at its end tfjs's means over the epoch. `eta` is the
 * time that is left to the end of the last epoch, at the speed so far. Values are read from the device only when they are
 * drawn. Give `fit` `verbose: 0`, or tfjs-node draws a bar of its own.
 *
 * @returns a callback for `fit` and `fitDataset`. Nothing to dispose.
 * @throws TypeError for options of a wrong type; FtpError TFJS_LAYERS_NOT_FOUND where no tfjs-layers is loaded.
 */
export function progress(options: ProgressOptions = {}): FitCallback {
  checkOptionKeys('options', options, ['stream']);
  const { stream = messageStream() } = options;
  if (stream === null || typeof stream !== 'object' || typeof stream.write !== 'function') {
    throw new TypeError(`stream must have a function write, got ${describe(stream)}`);
  }
  const live = stream.isTTY === true;
  let begun = 0;
  let epochBegun = 0;
  let drawn = 0;
  let epoch = 0;
  let batches = 0;
  /** Batches per epoch; null: not known before the first epoch ends. */
  let total: number | null = null;

  /** Draws over the line before. A line that wraps could not be drawn over. */
  const draw = (text: string, end: string) => {
    if (!live) {
      stream.write(text + end);
      return;
    }
    stream.write(`\r${text.slice(0, Math.max(1, (stream.columns || 80) - 1))}\x1b[K${end}`);
  };
  const title = ({ epochs }: FitParams) => `epoch ${epoch + 1}/${epochs}`;
  const remaining = ({ epochs, initialEpoch }: FitParams, partOfEpoch: number) => {
    const done = epoch - (Number(initialEpoch) || 0) + partOfEpoch;
    const left = Number(epochs) - epoch - partOfEpoch;
    if (done <= 0 || left <= 0) return '';
    return ` eta ${formatDuration(((performance.now() - begun) / done) * left)}`;
  };

  return makeCallback((_, params) => ({
    async onTrainBegin() {
      const { samples, batchSize, steps } = params() as { [name: string]: number | null | undefined };
      total = samples && batchSize ? Math.ceil(samples / batchSize) : (steps ?? null);
      begun = performance.now();
    },
    async onEpochBegin(index) {
      epoch = index;
      batches = 0;
      epochBegun = performance.now();
      drawn = -Infinity;
    },
    async onBatchEnd(_batch, logs) {
      ++batches;
      if (!live || performance.now() - drawn < REDRAW_MS) return;
      drawn = performance.now();
      const part = total === null ? null : Math.min(1, batches / total);
      const bar = part === null ? ` ${batches} batches` : ` ${formatBar(part)} ${batches}/${total}`;
      const eta = part === null ? '' : remaining(params(), part);
      draw(`${title(params())}${bar}${await formatLogs(logs, params())}${eta}`, '');
    },
    async onEpochEnd(_epoch, logs) {
      total ??= batches;
      const time = formatDuration(performance.now() - epochBegun);
      const values = await formatLogs(logs, params());
      draw(`${title(params())} ${batches} batches ${time}${values}${remaining(params(), 1)}`, '\n');
    },
  }));
}

async function formatLogs(logs: FitLogs, params: FitParams): Promise<string> {
  const values = await readMetrics(logs, params);
  return values.map(([name, value]) => ` ${name} ${Number(value.toPrecision(4))}`).join('');
}

function formatBar(part: number): string {
  const filled = Math.round(part * BAR_WIDTH);
  const head = filled < BAR_WIDTH ? '>' : '';
  return `[${('='.repeat(filled) + head).padEnd(BAR_WIDTH)}]`;
}

/** `0.4s`, `12s`, `3m05s`, `2h07m`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const [minutes, hours] = [Math.floor(whole / 60), Math.floor(whole / 3600)];
  const two = (value: number) => String(value).padStart(2, '0');
  if (minutes === 0) return `${whole}s`;
  return hours === 0 ? `${minutes}m${two(whole % 60)}s` : `${hours}h${two(minutes % 60)}m`;
}
