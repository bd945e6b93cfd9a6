// Training on several processes: mpirun -n 2 node examples/parallel.mjs
// By itself it is rank 0 of 1, without MPI: node examples/parallel.mjs
import 'tfjs-ftp/compat'; // for Node 23 and newer; does nothing on older ones
import * as tf from '@tensorflow/tfjs-node';
import { ftp } from 'tfjs-ftp';
import { mpi, parallel, shardDataset } from 'tfjs-ftp/parallel';

const world = await mpi();

// The same data in the same order everywhere; each rank takes its share of it.
const points = Array.from({ length: 512 }, (_, i) => [Math.sin(i), Math.cos(3 * i), (i % 7) / 7]);
const examples = tf.data.array(points.map(([a, b, c]) => ({ xs: [a, b, c], ys: [a * b - c] })));
const batches = shardDataset(examples.shuffle(512, 'seed'), world).batch(32);

const dense = { units: 32, activation: 'tanh' };
const model = tf.sequential({
  layers: [
    tf.layers.dense({ ...dense, inputShape: [3] }),
    tf.layers.dense(dense),
    tf.layers.dense({ units: 1 }),
  ],
});
// Each rank keeps the state of its share of the variables; all start at the weights of rank 0.
const optimizer = parallel(ftp.adamw(1e-2, { model }), world, { shard: true });
model.compile({ optimizer, loss: 'meanSquaredError' });

const { history } = await model.fitDataset(batches, { epochs: 5, verbose: 0 });
const loss = await world.allReduce(history.loss.at(-1), 'mean');
if (world.rank === 0) console.log(`${world.size} ranks, loss ${loss.toFixed(4)} after 5 epochs`);
