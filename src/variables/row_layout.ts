/** How a variable is seen by the projection: as `[outer, rows, inner]`, one row per output unit. */

import { checkInteger } from '../validate.js';

/** Sums of a row run over `outer` and `inner`; `outer * rows * inner` is the variable's size. */
export interface RowLayout {
  outer: number;
  rows: number;
  inner: number;
}

/** How many elements a shape has. */
export function product(values: readonly number[]): number {
  return values.reduce((result, value) => result * value, 1);
}

/** The whole variable is one row. */
export function singleRow(shape: readonly number[]): RowLayout {
  return { outer: 1, rows: 1, inner: product(shape) };
}

/**
 * Rows along `axis` of `shape`: outer = prod(shape[:axis]), rows = shape[axis], inner = prod(shape[axis+1:]).
 *
 * @param name of the variable, for the error message.
 * @param axis from -rank to rank - 1; null: one row.
 * @throws RangeError if the axis does not exist.
 */
export function layoutOfAxis(name: string, shape: readonly number[], axis: number | null): RowLayout {
  if (axis === null) return singleRow(shape);
  const rank = shape.length;
  if (rank === 0) {
    throw new RangeError(`output axis of '${name}' must be null for a scalar, got ${axis}`);
  }
  const checked = checkInteger(`output axis of '${name}' [${shape}]`, axis, -rank, rank - 1);
  const positive = checked < 0 ? checked + rank : checked;
  return {
    outer: product(shape.slice(0, positive)),
    rows: shape[positive] as number,
    inner: product(shape.slice(positive + 1)),
  };
}

/**
 * Rows along neighbouring axes together, e.g. [2, 3] of a depthwise kernel [h, w, in, mult]: in * mult rows.
 *
 * @param axes as for {@link layoutOfAxis}, each one more than the one before; none: one row.
 * @throws RangeError if one does not exist, or they are not neighbours.
 */
export function layoutOfAxes(name: string, shape: readonly number[], axes: readonly number[]): RowLayout {
  let layout = singleRow(shape);
  let last: number | undefined;
  for (const axis of axes) {
    const next = layoutOfAxis(name, shape, axis);
    const positive = axis < 0 ? axis + shape.length : axis;
    if (last !== undefined && positive !== last + 1) {
      throw new RangeError(
        `output axes of '${name}' [${shape}] must be neighbours in ascending order, got [${axes}]`,
      );
    }
    layout =
      last === undefined ? next : { outer: layout.outer, rows: layout.rows * next.rows, inner: next.inner };
    last = positive;
  }
  return layout;
}

/** Rows along the last two axes together, e.g. a depthwise kernel [h, w, in, mult]: in * mult rows. */
export function layoutOfLastTwoAxes(shape: readonly number[]): RowLayout {
  const rank = shape.length;
  return { outer: product(shape.slice(0, rank - 2)), rows: product(shape.slice(rank - 2)), inner: 1 };
}

/** Rows along the last axis; rank 0 and 1 are a single row. */
export function rowLayoutByRank(shape: readonly number[]): RowLayout {
  if (shape.length < 2) return singleRow(shape);
  return { outer: product(shape.slice(0, -1)), rows: shape[shape.length - 1] as number, inner: 1 };
}

export function sameLayout(a: RowLayout, b: RowLayout): boolean {
  return a.outer === b.outer && a.rows === b.rows && a.inner === b.inner;
}
