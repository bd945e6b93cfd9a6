/** The artifacts of a GraphModel with the weights that it has now. */

import * as tf from '@tensorflow/tfjs-core';
import { checkChoice, checkOptionKeys, describe } from '../validate.js';
import type { Internals, Topology } from './graph.js';
import { type QuantizationType, quantize } from './quantize.js';

/** Options of `save`. */
export interface SaveOptions {
  /**
   * How float32 weights are written. `'none'` (default): as they are, 4 bytes each. `'float16'`: 2 bytes, rounded to about
   * 3 digits. `'uint16'`, `'uint8'`: as many levels between each weight's smallest and largest value. `'original'`: each
   * weight as in the model that was loaded, so that the file does not grow.
   */
  quantization?: QuantizationType | 'original';
}

const FORMATS = ['none', 'float16', 'uint8', 'uint16', 'original'] as const;

type Spec = tf.io.WeightsManifestEntry;

export function checkSaveOptions(options: unknown): QuantizationType | 'original' {
  checkOptionKeys('options', options, ['quantization']);
  const { quantization = 'none' } = options as SaveOptions;
  return checkChoice('quantization', quantization, FORMATS);
}

/** @throws TypeError or RangeError unless there is one handler that saves. */
export function findHandler(handlerOrUrl: unknown): tf.io.IOHandler {
  const accepted = 'handler must be an IOHandler with save, or a URL that tfjs can save to';
  if (typeof handlerOrUrl === 'string') {
    const handlers = tf.io.getSaveHandlers(handlerOrUrl);
    if (handlers.length !== 1) {
      throw new RangeError(
        `${accepted}, got ${describe(handlerOrUrl)}, for which ${handlers.length} are registered`,
      );
    }
    return handlers[0] as tf.io.IOHandler;
  }
  if (typeof (handlerOrUrl as tf.io.IOHandler | null)?.save !== 'function') {
    throw new TypeError(`${accepted}, got ${describe(handlerOrUrl)}`);
  }
  return handlerOrUrl as tf.io.IOHandler;
}

function concatenate(parts: readonly Uint8Array[]): ArrayBuffer {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result.buffer;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

async function encode(
  spec: Spec,
  tensor: tf.Tensor,
  quantization: QuantizationType | 'original',
): Promise<{ spec: Spec; data: Uint8Array }> {
  const wanted = quantization === 'original' ? (spec.quantization?.dtype ?? 'none') : quantization;
  if (tensor.dtype === 'float32' && wanted !== 'none') {
    const values = (await tensor.data()) as Float32Array;
    const quantized = quantize(spec.name, values, wanted as Exclude<QuantizationType, 'none'>);
    const { name, shape, dtype } = spec;
    return {
      spec: { name, shape, dtype, quantization: quantized.spec } as Spec,
      data: bytesOf(quantized.data),
    };
  }
  const { data, specs } = await tf.io.encodeWeights([{ name: spec.name, tensor }]);
  return { spec: specs[0] as Spec, data: new Uint8Array(data as ArrayBuffer) };
}

/** A topology whose placeholders have other shapes. */
function withShapes(topology: Topology, shapes: ReadonlyMap<string, readonly number[]>): Topology {
  const node = topology.node.map((raw) => {
    const shape = shapes.get(raw.name);
    return shape === undefined ? raw : { ...raw, attr: { ...raw.attr, shape: { shape: shapeProto(shape) } } };
  });
  return { ...topology, node };
}

function shapeProto(shape: readonly number[]) {
  return { dim: shape.map((size) => ({ size: String(size) })) };
}

function signatureWithShapes(signature: unknown, shapes: ReadonlyMap<string, readonly number[]>): unknown {
  const { inputs } = (signature ?? {}) as {
    inputs?: Record<string, { name: string; tensorShape?: unknown }>;
  };
  if (inputs === undefined) return signature;
  const changed = Object.entries(inputs).map(([key, input]) => {
    const shape = shapes.get(input.name.replace(/:\d+$/, ''));
    return [key, shape === undefined ? input : { ...input, tensorShape: shapeProto(shape) }];
  });
  return { ...(signature as object), inputs: Object.fromEntries(changed) };
}

/**
 * Artifacts of the model as it was loaded, with the present values of `weights`.
 *
 * @param shapes of placeholders that are not as they were loaded.
 */
export async function presentArtifacts(
  artifacts: Internals['artifacts'],
  weights: Record<string, tf.Tensor[]>,
  shapes: ReadonlyMap<string, readonly number[]>,
  quantization: QuantizationType | 'original',
): Promise<tf.io.ModelArtifacts> {
  const specs = artifacts.weightSpecs ?? [];
  const encoded = await Promise.all(
    specs.map((spec) => encode(spec, weights[spec.name]?.[0] as tf.Tensor, quantization)),
  );
  const { getWeightStream: _stream, ...kept } = artifacts as tf.io.ModelArtifacts & {
    getWeightStream?: unknown;
  };
  const metadata = kept.userDefinedMetadata as { signature?: unknown } | undefined;
  return {
    ...kept,
    modelTopology: withShapes(artifacts.modelTopology, shapes),
    ...(kept.signature === undefined
      ? {}
      : { signature: signatureWithShapes(kept.signature, shapes) as typeof kept.signature }),
    ...(metadata?.signature === undefined
      ? {}
      : {
          userDefinedMetadata: {
            ...metadata,
            signature: signatureWithShapes(metadata.signature, shapes) as object,
          },
        }),
    weightSpecs: encoded.map(({ spec }) => spec),
    weightData: concatenate(encoded.map(({ data }) => data)),
  };
}
