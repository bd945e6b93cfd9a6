/** The conv net that is pre-trained on glyphs: 172 thousand parameters, 32x32 RGB in, 62 characters out. */
import * as tf from '@tensorflow/tfjs-layers';
import { CHARACTERS, IMAGE_SIZE } from './glyphs.js';

/** Output channels of the stem and of the three blocks. */
const CHANNELS = [24, 48, 96, 128] as const;

/**
 * Builds the net with seeded random weights: four 3x3 convolutions, each followed by batch normalization
 * and ReLU, the first three by 2x2 max pooling; then the mean over the remaining 4x4 positions and a dense
 * layer. Pixels come in as 0 to 1. Batch normalization, because tfjs-layers has no group normalization.
 */
export function buildGlyphModel(seed: number): tf.LayersModel {
  const input = tf.input({ shape: [IMAGE_SIZE, IMAGE_SIZE, 3], name: 'image' });
  let features: tf.SymbolicTensor = input;
  CHANNELS.forEach((filters, index) => {
    const name = index === 0 ? 'stem' : `block${index}`;
    const kernelInitializer = tf.initializers.heNormal({ seed: seed * 10 + index });
    features = tf.layers
      .conv2d({
        name: `${name}_conv`,
        filters,
        kernelSize: 3,
        padding: 'same',
        useBias: false,
        kernelInitializer,
      })
      .apply(features) as tf.SymbolicTensor;
    features = tf.layers
      .batchNormalization({ name: `${name}_norm`, momentum: 0.98 })
      .apply(features) as tf.SymbolicTensor;
    features = tf.layers.reLU({ name: `${name}_relu` }).apply(features) as tf.SymbolicTensor;
    if (index < CHANNELS.length - 1) {
      features = tf.layers
        .maxPooling2d({ name: `${name}_pool`, poolSize: 2 })
        .apply(features) as tf.SymbolicTensor;
    }
  });
  features = tf.layers
    .globalAveragePooling2d({ name: 'features', dataFormat: 'channelsLast' })
    .apply(features) as tf.SymbolicTensor;
  const logits = tf.layers
    .dense({
      name: 'head',
      units: CHARACTERS.length,
      kernelInitializer: tf.initializers.glorotNormal({ seed: seed * 10 + CHANNELS.length }),
    })
    .apply(features) as tf.SymbolicTensor;
  return tf.model({ inputs: input, outputs: logits, name: 'glyphs' });
}
