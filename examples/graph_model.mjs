// The guide's example for GraphModels: the backbone of a published one with a new head, on a folder of images, held by FTP.
// After `npm run demo`, which writes such a folder: node examples/graph_model.mjs
import 'tfjs-ftp/compat'; // for Node 23 and newer; does nothing on older ones
import * as tf from '@tensorflow/tfjs-node';
import { ftp } from 'tfjs-ftp';
import { imageFolder } from 'tfjs-ftp/data';
import { trainable } from 'tfjs-ftp/models';
import 'tfjs-ftp/models/gradients'; // those that tfjs lacks

const [folder = 'demo-output/serial-codes', steps = 60] = process.argv.slice(2);
const images = await imageFolder(folder, { imageSize: 64, batchSize: 32, seed: 1 });

// A net for facial expressions on 64 x 64 grey pixels, up to its last convolution.
const loaded = await tf.loadGraphModel('file://node_modules/@vladmandic/human/models/emotion.json');
const model = trainable(loaded, { outputs: ['StatefulPartitionedCall/model_1/add_2/add'] });
for (const { node, reason, advice } of model.check()) console.warn(`${node}: ${reason}; ${advice}`);

// The new head: a linear layer on the mean of each channel.
const head = tf.variable(tf.zeros([256, images.classNames.length]), true, 'head');
const logits = (xs) => tf.matMul(tf.mean(model.predict(tf.mean(xs, 3, true)), [1, 2]), head);

const optimizer = ftp.adamw(3e-3, { model, exclude: ['head'] });
for (let step = 0; step < steps; ) {
  await images.forEachAsync(({ xs, ys }) => {
    const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(ys, logits(xs)), true);
    if (++step % 10 === 0) console.log(`step ${step}: loss ${loss.dataSync()[0].toFixed(3)}`);
    tf.dispose([xs, ys, loss]);
  });
}

console.table((await optimizer.constraints()).slice(0, 5)); // how far each variable may move
await model.save('file://demo-output/fine-tuned-graph'); // loads with tf.loadGraphModel, without this package
