/**
 * Argument checks. Every message says the parameter, what is accepted and what came: wrong types throw
 * `TypeError`, wrong values `RangeError`. Nothing here knows tfjs.
 */

/** A short, safe rendering of any value for an error message. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 57)}...'` : `'${value}'`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Array.isArray(value)) return value.length > 6 ? `an array of ${value.length}` : `an array`;
  const className = (value as object).constructor?.name;
  if (!className || className === 'Object') return 'an object';
  return `${/^([AEIO]|Ftp)/i.test(className) ? 'an' : 'a'} ${className}`; // Ftp is spoken letter by letter
}

/** Bounds of a number; `above` and `below` are exclusive. */
export interface NumberBounds {
  min?: number;
  above?: number;
  max?: number;
  below?: number;
}

function boundsText({ min, above, max, below }: NumberBounds): string {
  const parts: string[] = [];
  if (min !== undefined) parts.push(`>= ${min}`);
  if (above !== undefined) parts.push(`> ${above}`);
  if (max !== undefined) parts.push(`<= ${max}`);
  if (below !== undefined) parts.push(`< ${below}`);
  return parts.length > 0 ? ` ${parts.join(' and ')}` : '';
}

/** Checks a finite number within bounds. */
export function checkNumber(name: string, value: unknown, bounds: NumberBounds = {}): number {
  const accepted = `${name} must be a finite number${boundsText(bounds)}`;
  if (typeof value !== 'number') throw new TypeError(`${accepted}, got ${describe(value)}`);
  const { min, above, max, below } = bounds;
  const inside =
    Number.isFinite(value) &&
    (min === undefined || value >= min) &&
    (above === undefined || value > above) &&
    (max === undefined || value <= max) &&
    (below === undefined || value < below);
  if (!inside) throw new RangeError(`${accepted}, got ${value}`);
  return value;
}

/** Checks a whole number within inclusive bounds. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  const accepted = `${name} must be a whole number from ${min} to ${max}`;
  if (typeof value !== 'number') throw new TypeError(`${accepted}, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${accepted}, got ${value}`);
  }
  return value;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be a boolean, got ${describe(value)}`);
  return value;
}

export function checkFloat32Array(name: string, value: unknown): Float32Array {
  if (!(value instanceof Float32Array)) {
    throw new TypeError(`${name} must be a Float32Array, got ${describe(value)}`);
  }
  return value;
}

/** Checks how many elements an array has. */
export function checkLength(name: string, { length }: { length: number }, elements: number): void {
  if (length !== elements) throw new RangeError(`${name} must have ${elements} elements, got ${length}`);
}

/** Checks one of a fixed set of strings. */
export function checkChoice<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const accepted = `${name} must be one of ${choices.map((choice) => `'${choice}'`).join(', ')}`;
  if (typeof value !== 'string') throw new TypeError(`${accepted}, got ${describe(value)}`);
  if (!choices.includes(value as T)) throw new RangeError(`${accepted}, got ${describe(value)}`);
  return value as T;
}

/** Checks that `options` is a plain object with known keys only, so that a typing error is not a default. */
export function checkOptionKeys(name: string, options: unknown, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw new TypeError(`${name} must be an object, got ${describe(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new TypeError(`${name} has no option '${key}'; accepted: ${known.join(', ')}`);
    }
  }
}

/** The most threads of a step; as kMaxThreads in native/kernels/cpu/thread_pool.h. */
export const MAX_THREADS = 256;
