/**
 * The MobileNetV2 of nsfwjs (MIT): a content filter for images of 224 pixels. Its configuration has the layers up to
 * `block_10_project_BN` as not trainable, so their weights are presumably those of an ImageNet model, rounded to 8 bits; the
 * package does not say so.
 */
import { createRequire } from 'node:module';
import type { io } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-layers';

interface LayerConfig {
  name: string;
  class_name: string;
  config: Record<string, unknown>;
  inbound_nodes: [string, number, number, object][][];
}

interface ModelConfig {
  layers: LayerConfig[];
  input_layers: [string, number, number][];
  output_layers: [string, number, number][];
}

/**
 * The layers of a model from one to another, all of them trainable.
 *
 * @param config is not changed.
 * @param from the layer whose output is the new input, [height, width, channels]; null: the model's own input.
 * @param to the layer whose output is the new output.
 * @throws RangeError if there is no such layer, or a layer in between takes something from before `from`.
 */
export function cutConfig(
  config: ModelConfig,
  from: string | null,
  to: string,
  inputShape: readonly number[],
): ModelConfig {
  const byName = new Map(config.layers.map((layer) => [layer.name, layer]));
  const start = from ?? (config.input_layers[0]?.[0] as string);
  const needed = new Set<string>();
  const collect = (name: string) => {
    if (needed.has(name)) return;
    const layer = byName.get(name);
    if (layer === undefined) throw new RangeError(`the model has no layer '${name}'`);
    needed.add(name);
    if (name === start) return;
    if (layer.inbound_nodes.length === 0)
      throw new RangeError(`'${to}' needs '${name}', which is not behind '${start}'`);
    for (const [input] of layer.inbound_nodes.flat()) collect(input);
  };
  collect(to);
  const input: LayerConfig = {
    name: start,
    class_name: 'InputLayer',
    config: { batch_input_shape: [null, ...inputShape], dtype: 'float32', sparse: false, name: start },
    inbound_nodes: [],
  };
  const layers = config.layers
    .filter(({ name }) => needed.has(name))
    .map((layer) =>
      layer.name === start ? input : { ...layer, config: { ...layer.config, trainable: true } },
    );
  return { ...config, layers, input_layers: [[start, 0, 0]], output_layers: [[to, 0, 0]] };
}

/**
 * A part of MobileNetV2 with its pre-trained weights. RGB from 0 to 1 goes in where it begins at the beginning.
 *
 * @param from the layer before the first, or null; see {@link cutConfig}.
 */
export async function mobileNetPart(
  from: string | null,
  to: string,
  inputShape: readonly number[],
): Promise<tf.LayersModel> {
  const require = createRequire(import.meta.url);
  const folder = 'nsfwjs/dist/models/mobilenet_v2';
  // The package's exports do not list the files of weights, but its folder can be found by one that they do list.
  const base = require.resolve('nsfwjs/models/mobilenet_v2').replace(/nsfwjs[\\/]dist[\\/].*$/, '');
  const json = require(`${base}${folder}/model.min.js`) as io.ModelJSON;
  const [group] = json.weightsManifest;
  if (group === undefined) throw new Error('nsfwjs: its MobileNetV2 has no weights');
  const shards = group.paths.map((path) => require(`${base}${folder}/${path}.min.js`) as string);
  const weights = Buffer.concat(shards.map((shard) => Buffer.from(shard, 'base64')));
  const topology = json.modelTopology as { model_config: { config: ModelConfig } };
  const modelTopology = {
    ...topology,
    model_config: {
      ...topology.model_config,
      config: cutConfig(topology.model_config.config, from, to, inputShape),
    },
  };
  const artifacts: io.ModelArtifacts = {
    modelTopology,
    weightSpecs: group.weights,
    weightData: Uint8Array.from(weights).buffer,
  };
  // Not strict: the weights of layers that were cut off are left over.
  return tf.loadLayersModel({ load: async () => artifacts }, { strict: false });
}
