// Two steps of a variable that is not projected, under tfjs-node; prints its weights, and what ran, as one line of JSON.
import '../../compat.cjs';
import * as tf from '@tensorflow/tfjs-node';
import { ftp } from '../../dist/index.js';

const numbers = Array.from({ length: 500 }, (_, i) => Math.sin(i));
const variable = tf.variable(tf.tensor1d(numbers), true, 'head');
const optimizer = ftp.adamw(0.1, { exclude: ['head'], implementation: 'native', nonFinite: 'ignore' });
let failure = null;
try {
  for (const scale of [1, 2]) optimizer.applyGradients({ head: tf.mul(tf.tensor1d(numbers), scale) });
} catch (error) {
  failure = error.message;
}
const weights = Buffer.from(variable.dataSync().slice().buffer).toString('hex');
console.log(`results ${JSON.stringify({ weights, failure })}`);
