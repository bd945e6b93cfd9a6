import { dispose, type TensorContainer } from '@tensorflow/tfjs-core';
import type { Stateful } from '../callbacks/stateful.js';
import { FtpError } from '../errors.js';
import { checkInteger, describe } from '../validate.js';

/** Of a `tf.data.Dataset`, what is needed here. */
export interface BatchSource<T> {
  iterator(): Promise<{ next(): Promise<IteratorResult<T>> }>;
  /** Batches; null or Infinity where that is not known. */
  readonly size?: number | null;
}

/** Where a {@link ResumableDataset} is. */
interface DataPosition {
  /** Passes over the data that have ended, or that another one has followed. */
  passes: number;
  /** Batches of the present pass. */
  batches: number;
}

/** A dataset that knows how far it was read, for `model.fitDataset` and loops of your own. */
export class ResumableDataset<T> implements Stateful {
  private position: DataPosition = { passes: 0, batches: 0 };
  /** Whether the next pass begins at a position that was set. */
  private restored = false;
  /** Iterators that the source has opened. */
  private opened = 0;
  private present: { next(): Promise<IteratorResult<T>> } | null = null;
  /** @internal Batches that it gave since it was made. */
  given = 0;
  /**
   * Batches per pass, as the source says; of a function of the pass null before the first one.
   */
  size: number;

  /** @internal */
  constructor(
    private readonly source: BatchSource<T> | ((pass: number) => BatchSource<T> | Promise<BatchSource<T>>),
  ) {
    this.size = (typeof source === 'function' ? null : (source.size ?? null)) as number;
  }

  /** An iterator, which begins its pass when its first batch is asked for: `fitDataset` opens one that it never reads. */
  async iterator(): Promise<{ next(): Promise<IteratorResult<T>> }> {
    let inner: { next(): Promise<IteratorResult<T>> } | null = null;
    return {
      next: async () => {
        if (inner === null) {
          inner = await this.begin();
          this.present = inner;
        }
        const result = await inner.next();
        if (inner !== this.present) return result;
        if (result.done === true) {
          this.position = { passes: this.position.passes + 1, batches: 0 };
          this.present = null;
        } else {
          ++this.position.batches;
          ++this.given;
        }
        return result;
      },
    };
  }

  /** Passes that have ended, and batches of the present one, as JSON. */
  getState(): { passes: number; batches: number } {
    return { ...this.position };
  }

  /**
   * Lets the next pass go on at a position that {@link getState} gave. The batches before it are read once more and
   * disposed, when the first one after it is asked for.
   *
   * @throws TypeError or RangeError for another state; FtpError STATE_MISMATCH for a position that lies back, unless the
   *   data are a function of the pass: a shuffled dataset cannot be taken back, make it anew.
   */
  setState(state: unknown): void {
    const { passes, batches } = (state ?? {}) as Partial<DataPosition>;
    const position = {
      passes: checkInteger('passes', passes, 0, Number.MAX_SAFE_INTEGER),
      batches: checkInteger('batches', batches, 0, Number.MAX_SAFE_INTEGER),
    };
    if (typeof this.source !== 'function' && this.opened > position.passes) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the dataset has begun ${this.opened} passes and cannot go back to pass ${position.passes} (counted from 0): ` +
          'make the dataset anew, or give resumable a function of the pass',
      );
    }
    this.position = position;
    this.restored = true;
    this.present = null;
  }

  private async begin(): Promise<{ next(): Promise<IteratorResult<T>> }> {
    const { position, restored } = this;
    const skip = restored ? position.batches : 0;
    // A pass that was left before its end is over.
    const passes = !restored && position.batches > 0 ? position.passes + 1 : position.passes;
    const inner = await this.open(passes);
    for (let i = 0; i < skip; ++i) {
      const { value, done } = await inner.next();
      if (done === true) {
        throw new FtpError(
          'STATE_MISMATCH',
          `the data must have the ${skip} batches of pass ${passes} that were read when the position was saved, but end after ${i}`,
        );
      }
      dispose(value as TensorContainer);
    }
    this.position = { passes, batches: skip };
    this.restored = false;
    return inner;
  }

  private async open(pass: number): Promise<{ next(): Promise<IteratorResult<T>> }> {
    const { source } = this;
    if (typeof source === 'function') {
      const made = await source(pass);
      checkSource('what the function of resumable returns', made);
      this.size = (made.size ?? null) as number;
      return made.iterator();
    }
    // A shuffled dataset draws the order of a pass when it is opened.
    for (; this.opened < pass; ++this.opened) await source.iterator();
    ++this.opened;
    return source.iterator();
  }
}

function checkSource(name: string, source: unknown): void {
  if (typeof (source as BatchSource<unknown> | null)?.iterator !== 'function') {
    throw new TypeError(`${name} must be a tf.data.Dataset, got ${describe(source)}`);
  }
}

/**
 * Makes the position in a dataset something that a checkpoint can hold, down to the batch.
 *
 * Training goes on with the same batches only if the data come in the same order again. That needs a `seed` of every
 * `shuffle` (tf.data's own, which then gives every pass another order, and `imageFolder`'s), or a function that makes
 * the data of a pass. A dataset is opened once for each pass that has ended, without reading it. So a `repeat()` behind a
 * `shuffle()` does not come out the same: leave it out, and let `fitDataset` count the epochs, or give a function.
 *
 * @param source a `tf.data.Dataset` of batches, made anew in each process; or a function that maps the number of a pass
 *   (0 at the first) to one.
 * @returns a dataset for `fitDataset` or for loops of your own. Nothing to dispose; its batches are those of the source.
 * @throws TypeError for another source.
 *
 * @example
 * ```ts
 * const shuffled = resumable(tf.data.array([1, 2, 3, 4]).shuffle(4, 'seed').batch(2));
 * const byPass = resumable((pass) => tf.data.array([1, 2, 3, 4]).shuffle(4, `seed ${pass}`).batch(2));
 * ```
 */
export function resumable<T>(
  source: BatchSource<T> | ((pass: number) => BatchSource<T> | Promise<BatchSource<T>>),
): ResumableDataset<T> {
  if (typeof source !== 'function') checkSource('source', source);
  return new ResumableDataset(source);
}
