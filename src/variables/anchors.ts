/** Anchors given by the user, held as copies until their variables are first seen. */

import { engine, keep, mul, type NamedTensorMap, Tensor, tidy, util } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import { registeredVariable } from './registered.js';

/** A copy in memory of its own, whatever the tensor was made from. */
function copyOf(tensor: Tensor): Tensor {
  return keep(tidy(() => mul(tensor, 1)));
}

export class AnchorStore {
  private readonly copies = new Map<string, Tensor>();
  private checked = false;

  /** @throws TypeError unless `anchors` maps names to float32 tensors. */
  constructor(anchors: NamedTensorMap = {}) {
    if (anchors === null || typeof anchors !== 'object' || Array.isArray(anchors)) {
      throw new TypeError(`anchors must map variable names to tensors, got ${describe(anchors)}`);
    }
    for (const name of Object.keys(anchors)) {
      const tensor: unknown = anchors[name];
      if (!(tensor instanceof Tensor) || tensor.dtype !== 'float32') {
        const came = tensor instanceof Tensor ? `a tensor of ${tensor.dtype}` : describe(tensor);
        throw new TypeError(`anchors['${name}'] must be a float32 tensor, got ${came}`);
      }
      if (tensor.isDisposed) throw new RangeError(`anchors['${name}'] is disposed`);
    }
    for (const name of Object.keys(anchors)) this.copies.set(name, copyOf(anchors[name] as Tensor));
  }

  /**
   * Compares names and shapes with the registered variables, at the first step.
   *
   * @throws FtpError UNKNOWN_VARIABLE for a name that no variable has; RangeError for another shape.
   */
  check(): void {
    if (this.checked) return;
    for (const [name, anchor] of this.copies) {
      const variable = registeredVariable(name);
      if (variable === undefined) {
        const known = Object.keys(engine().registeredVariables);
        const shown = known.slice(0, 8).join(', ') + (known.length > 8 ? ', ...' : '');
        throw new FtpError(
          'UNKNOWN_VARIABLE',
          `anchors names '${name}', which no variable has; registered variables: ${shown || 'none'}`,
        );
      }
      checkShape(name, anchor, variable.shape);
    }
    this.checked = true;
  }

  /** The anchor of a variable, still owned by the store. */
  get(name: string, shape: number[]): Tensor | undefined {
    const anchor = this.copies.get(name);
    if (anchor !== undefined) checkShape(name, anchor, shape);
    return anchor;
  }

  /** All anchors that were not used yet, still owned by the store. */
  entries(): Iterable<[string, Tensor]> {
    return this.copies.entries();
  }

  /** Drops the copy of a variable whose state has been made. */
  release(name: string): void {
    this.copies.get(name)?.dispose();
    this.copies.delete(name);
  }

  dispose(): void {
    for (const tensor of this.copies.values()) tensor.dispose();
    this.copies.clear();
  }
}

function checkShape(name: string, anchor: Tensor, shape: number[]): void {
  if (!util.arraysEqual(anchor.shape, shape)) {
    throw new RangeError(
      `anchors['${name}'] must have its variable's shape [${shape}], got [${anchor.shape}]`,
    );
  }
}
