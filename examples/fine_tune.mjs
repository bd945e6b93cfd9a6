// The README's second example: fine-tune a pre-trained LayersModel on a folder of images, held by FTP.
// After `npm run demo`, which writes such a folder: node examples/fine_tune.mjs
import 'tfjs-ftp/compat'; // for Node 23 and newer; does nothing on older ones
import * as tf from '@tensorflow/tfjs-node';
import { ftp } from 'tfjs-ftp';
import { imageFolder } from 'tfjs-ftp/data';

// One sub-folder of images per class.
const images = await imageFolder('demo-output/serial-codes', { imageSize: 32, seed: 1 });

// The pre-trained net with a new head.
const pretrained = await tf.loadLayersModel('file://demo/assets/pretrained/model.json');
const features = pretrained.getLayer('features').output;
const head = tf.layers.dense({
  name: 'new_head',
  units: images.classNames.length,
  activation: 'softmax',
});
const model = tf.model({ inputs: pretrained.inputs, outputs: head.apply(features) });

const optimizer = ftp.adamw(3e-3, { model, exclude: ['new_head/'] });
model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
await model.fitDataset(images, { epochs: 10 });

console.table(await optimizer.constraints()); // how far each variable may move
await model.save('file://demo-output/fine-tuned', { includeOptimizer: true });
