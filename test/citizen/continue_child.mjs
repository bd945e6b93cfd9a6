// Loads each model that the first argument names, trains it on the batches in the second, and prints its weights.
import fs from 'node:fs';
import '../../compat.cjs';

const { default: tf } = await import('@tensorflow/tfjs-node');
await import('tfjs-ftp'); // registers the optimizers' classes

const [models, batches] = process.argv.slice(2).map((file) => JSON.parse(fs.readFileSync(file, 'utf8')));
const results = [];
for (const url of models) {
  const model = await tf.loadLayersModel(url);
  for (const { xs, xsShape, ys, ysShape } of batches) {
    await model.trainOnBatch(tf.tensor(xs, xsShape), tf.tensor(ys, ysShape));
  }
  const inOrder = model.layers.flatMap((layer) => layer.getWeights());
  const weights = inOrder.map((weight) => Buffer.from(weight.dataSync().buffer).toString('hex'));
  const { implementation, iterations } = model.optimizer;
  results.push({ weights, implementation, iterations });
}
console.log(`results ${JSON.stringify(results)}`);
