// Runs one recorded sequence of steps in a process of its own, where TFJS_FTP_SIMD was set before the addon loaded.
// argv: a file with v8-serialized [{plan, states, weights, gradients, outputs}, ...]; states of the first entry are used
// throughout and the outputs of a step are the weights of the next. Behind them come the sums of the last gradients, with
// the hyper-gradients of learning rate and weight decay. Prints {simd, hash} as JSON.
'use strict';

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { deserialize } = require('node:v8');
const loadAddon = require('../../load_addon.cjs');

const { addon, tried } = loadAddon();
if (!addon) throw new Error(JSON.stringify(tried));
const { states, weights, steps } = deserialize(readFileSync(process.argv[2]));
for (const { plan, gradients } of steps) addon.step(plan, states, weights, gradients, weights);
const hash = createHash('sha256');
const last = steps[steps.length - 1];
const sums = addon.gather(last.plan, states, weights, last.gradients, 7);
if (!sums.every(Number.isFinite) || sums[3] === 0) throw new Error(`sums ${sums.slice(0, 11)}`);
for (const array of [...weights, ...states, sums]) {
  hash.update(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
}
process.stdout.write(JSON.stringify({ simd: addon.buildInfo().simd, hash: hash.digest('hex') }));
