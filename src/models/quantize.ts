/** Weights in the formats that tfjs decodes: float16, and uint8 or uint16 with a scale and a minimum. */

/** A format of saved float32 weights, `none`: float32. */
export type QuantizationType = 'none' | 'float16' | 'uint8' | 'uint16';

/** What a weight's entry in model.json says of it. */
export interface QuantizationSpec {
  dtype: 'float16' | 'uint8' | 'uint16';
  scale?: number;
  min?: number;
}

const LARGEST_HALF = 65504;

/** IEEE 754 half precision, rounded to nearest, ties to even. */
function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (x) => {
    const sign = (x >>> 16) & 0x8000;
    const exponent = ((x >>> 23) & 0xff) - 112;
    if (exponent < -10) return sign;
    const mantissa = exponent > 0 ? x & 0x7fffff : (x & 0x7fffff) | 0x800000;
    const shift = exponent > 0 ? 13 : 14 - exponent;
    const half = (exponent > 0 ? exponent << 10 : 0) + (mantissa >>> shift);
    const rest = mantissa & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    return sign | (half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0));
  });
}

/** round((x - min) / scale), with 0 among the values wherever the range has it. */
function toAffine(values: Float32Array, dtype: 'uint8' | 'uint16') {
  const steps = dtype === 'uint8' ? 255 : 65535;
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  const scale = max > min ? (max - min) / steps : 1;
  if (min < 0 && max > 0) min = Math.round(min / scale) * scale;
  const quantized = Array.from(values, (value) =>
    Math.min(steps, Math.max(0, Math.round((value - min) / scale))),
  );
  const data = dtype === 'uint8' ? Uint8Array.from(quantized) : Uint16Array.from(quantized);
  return { data, spec: { dtype, scale, min } };
}

/**
 * @param name of the weight, for the error message.
 * @throws RangeError for a value that the format cannot hold.
 */
export function quantize(
  name: string,
  values: Float32Array,
  dtype: Exclude<QuantizationType, 'none'>,
): { data: Uint8Array | Uint16Array; spec: QuantizationSpec } {
  const largest = dtype === 'float16' ? LARGEST_HALF : Number.MAX_VALUE;
  for (const value of values) {
    if (!(Math.abs(value) <= largest)) {
      throw new RangeError(
        `quantization '${dtype}' must have finite weights${dtype === 'float16' ? ` up to ${largest}` : ''}, ` +
          `got ${value} in '${name}'`,
      );
    }
  }
  if (values.length === 0) return { data: new Uint8Array(0), spec: { dtype, scale: 1, min: 0 } };
  return dtype === 'float16' ? { data: toFloat16(values), spec: { dtype } } : toAffine(values, dtype);
}
