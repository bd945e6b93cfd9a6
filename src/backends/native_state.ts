/** State slabs: one float32 array per variable, whose sections only the addon knows. No tfjs here. */

import { FtpError } from '../errors.js';
import { none } from '../methods/none.js';
import { proposal } from '../methods/proposal.js';
import type { NativeAddon, NativeSection, NativeStateLayout } from '../native/addon.js';
import { packBfloat16, unpackBfloat16 } from './bfloat16.js';
import { formatCode, slotFlags } from './plan.js';
import { NonFiniteGradient, type StateSpec } from './types.js';

/** Where the parts of a variable's state lie. */
export function slabLayout(
  addon: NativeAddon,
  spec: Pick<StateSpec, 'method' | 'excluded' | 'layout' | 'ema' | 'keepGradient' | 'format'>,
): NativeStateLayout {
  const { method, excluded, layout, ema } = spec;
  const { base, rule, baseFlags, ruleFlags } = method;
  const elements = layout.outer * layout.rows * layout.inner;
  // What another optimizer proposes for an excluded variable stands: no native step is asked for it.
  if (base === proposal && rule === none) {
    return ema
      ? { length: elements, sections: { ema: { offset: 0, length: elements, count: elements, format: 0 } } }
      : { length: 1, sections: {} };
  }
  return addon.stateLayout(
    base.code,
    rule.code,
    baseFlags,
    ruleFlags,
    slotFlags(spec),
    excluded,
    elements,
    layout.rows,
    formatCode(spec.format),
  );
}

/** A slab of zeros that JavaScript owns, on huge pages where the system has them. */
export function newSlab(addon: NativeAddon, length: number): Float32Array {
  const slab = new Float32Array(length);
  addon.adviseState(slab);
  return slab;
}

/** The section of a slot that must exist. */
export function sectionOf(layout: NativeStateLayout, slot: string): NativeSection {
  const section = layout.sections[slot];
  if (section === undefined) {
    throw new FtpError(
      'NATIVE_FAILURE',
      `the addon's state has no part '${slot}', only ${Object.keys(layout.sections).join(', ')}: ` +
        'the addon and the JavaScript files of tfjs-ftp are of different versions',
    );
  }
  return section;
}

/** Whether a section holds its numbers as they are. */
export function isPlain({ format }: NativeSection): boolean {
  return format === formatCode('float32');
}

/** The numbers of a section from its memory: that memory itself where it holds them as they are. */
export function fromSection(section: NativeSection, memory: Float32Array): Float32Array {
  return isPlain(section) ? memory : unpackBfloat16(memory, section.count);
}

/** What a section's memory is to hold for these numbers: they themselves where it holds them as they are. */
export function toSection(section: NativeSection, values: Float32Array): Float32Array {
  return isPlain(section) ? values : packBfloat16(values);
}

function memoryOf(slab: Float32Array, { offset, length }: NativeSection): Float32Array {
  return slab.subarray(offset, offset + length);
}

/** A copy of a section's numbers, in a slab that JavaScript owns. */
export function readSection(slab: Float32Array, section: NativeSection): Float32Array {
  const memory = memoryOf(slab, section);
  return isPlain(section) ? memory.slice() : fromSection(section, memory);
}

/** Writes a section's numbers, in a slab that JavaScript owns. */
export function writeSection(slab: Float32Array, section: NativeSection, values: Float32Array): void {
  memoryOf(slab, section).set(toSection(section, values));
}

/** Wraps what the addon or TensorFlow threw, with the addon's code; an {@link FtpError} passes unchanged. */
export function nativeFailure(what: string, error: unknown): FtpError {
  if (error instanceof FtpError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const outOfMemory = (error as { code?: unknown } | null | undefined)?.code === 'OUT_OF_MEMORY';
  const code = outOfMemory ? 'OUT_OF_MEMORY' : 'NATIVE_FAILURE';
  return new FtpError(code, `${what} failed: ${message}`, { cause: error });
}

/** How the TensorFlow ops name the gradient that is not finite. */
const NON_FINITE = /TFJS_FTP_NON_FINITE (\d+)/;

/** What a native call that reads gradients is to throw for what the addon or TensorFlow threw. */
export function gradientFailure(what: string, error: unknown): Error {
  const { code, index, message } = (error ?? {}) as { code?: unknown; index?: unknown; message?: unknown };
  if (code === 'NON_FINITE_GRADIENT' && typeof index === 'number') return new NonFiniteGradient(index);
  const named = NON_FINITE.exec(String(message ?? error));
  return named === null ? nativeFailure(what, error) : new NonFiniteGradient(Number(named[1]));
}
