/** GraphModels of a few nodes, as tfjs-converter would write them. */
import * as tf from '@tensorflow/tfjs';
import { numbers } from '../optimizers/support.js';

type Attr = Record<string, unknown>;

/** Attributes in model.json's words: text, whole numbers (lists too), truth values, `{f}` for a fraction. */
function encode(value: unknown): unknown {
  if (typeof value === 'string') return { s: Buffer.from(value).toString('base64') };
  if (typeof value === 'boolean') return { b: value };
  if (typeof value === 'number') return { i: String(value) };
  if (Array.isArray(value)) {
    return typeof value[0] === 'string'
      ? { list: { s: value.map((text) => Buffer.from(String(text)).toString('base64')) } }
      : { list: { i: value.map(String) } };
  }
  return value;
}

export interface Weight {
  shape: number[];
  values?: ArrayLike<number>;
  dtype?: 'float32' | 'int32';
}

export interface GraphOf {
  /** Shapes of inputs by name. */
  inputs: Record<string, number[]>;
  weights: Record<string, Weight | number[]>;
  /** `[name, op, inputs, attributes]`. */
  nodes: [string, string, string[], Record<string, unknown>?][];
  /** Default: the last node. */
  outputs?: string[];
  seed?: number;
}

/** Artifacts of a graph; weights without values are random in (-1, 1), an array of numbers is an int32 vector. */
export function artifactsOf({ inputs, weights, nodes, outputs, seed = 1 }: GraphOf): tf.io.ModelArtifacts {
  const names = outputs ?? [nodes.at(-1)?.[0] as string];
  const specs: tf.io.WeightsManifestEntry[] = [];
  const parts: Buffer[] = [];
  const constants = Object.entries(weights).map(([name, given], i) => {
    const weight: Weight = Array.isArray(given)
      ? { shape: [given.length], values: given, dtype: 'int32' }
      : given;
    const { shape, dtype = 'float32' } = weight;
    const values = weight.values ?? numbers(tf.util.sizeFromShape(shape), seed * 50 + i);
    const array = dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values);
    parts.push(Buffer.from(array.buffer));
    specs.push({ name, shape, dtype });
    return { name, op: 'Const', attr: { dtype: { type: dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' } } };
  });
  const dims = (shape: number[]) => ({ dim: shape.map((size) => ({ size: String(size) })) });
  const placeholders = Object.entries(inputs).map(([name, shape]) => ({
    name,
    op: 'Placeholder',
    attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: dims(shape) } },
  }));
  const operations = nodes.map(([name, op, input, attrs = {}]) => {
    const attr: Attr = {};
    for (const [key, value] of Object.entries(attrs)) attr[key] = encode(value);
    return { name, op, input, attr };
  });
  return {
    format: 'graph-model',
    generatedBy: 'test',
    convertedBy: 'test',
    modelTopology: {
      node: [...placeholders, ...constants, ...operations],
      library: {},
      versions: { producer: 1, minConsumer: 1 },
    },
    signature: {
      inputs: Object.fromEntries(
        Object.entries(inputs).map(([name, shape]) => [
          name,
          { name: `${name}:0`, dtype: 'DT_FLOAT', tensorShape: dims(shape) },
        ]),
      ),
      outputs: Object.fromEntries(
        names.map((name) => [name, { name: name.includes(':') ? name : `${name}:0` }]),
      ),
    },
    weightSpecs: specs,
    weightData: Uint8Array.from(Buffer.concat(parts)).buffer,
  } as tf.io.ModelArtifacts;
}

export function load(artifacts: tf.io.ModelArtifacts): Promise<tf.GraphModel> {
  return tf.loadGraphModel({ load: async () => artifacts });
}

export function graphModel(graph: GraphOf): Promise<tf.GraphModel> {
  return load(artifactsOf(graph));
}

/** A handler that keeps what is saved. */
export function memory(): { handler: tf.io.IOHandler; saved: () => tf.io.ModelArtifacts } {
  let artifacts: tf.io.ModelArtifacts | undefined;
  return {
    handler: {
      save: async (given) => {
        artifacts = given;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      },
    },
    saved: () => artifacts as tf.io.ModelArtifacts,
  };
}
