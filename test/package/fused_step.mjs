// The fused step on plain arrays, as user code without tfjs calls it: `node fused_step.mjs MODULE`, where MODULE is what
// to import it from. Prints the addon's path and the bits of the weights after five steps.
const { createFusedStep, nativeInfo } = await import(process.argv[2]);

// Numbers between -scale and scale, from integers: the same on every machine.
const filled = (length, scale) =>
  Float32Array.from({ length }, (_, i) => scale * ((((i + 1) * 7919) % 2003) / 1001 - 1));
const start = filled(96, 0.5);
const weights = start.slice();
const fused = createFusedStep({
  base: 'adamw',
  learningRate: 1e-2,
  weightDecay: 0.1,
  variables: [{ name: 'kernel', weights, shape: [12, 8] }],
});
for (let step = 1; step <= 5; step++) fused.step([filled(96, step)]);
const { path, build } = nativeInfo();
const bits = Buffer.from(weights.buffer).toString('hex');
console.log(
  JSON.stringify({
    path,
    simd: build.simd,
    arch: process.arch,
    moved: weights.some((x, i) => x !== start[i]),
    bits,
  }),
);
