// The fused step on plain arrays, as user code without tfjs calls it: `node fused_step.mjs MODULE`, where MODULE is what
// to import it from. Prints the addon's path and the bits of the weights after five steps.
const { createFusedStep, nativeInfo } = await import(process.argv[2]);

const filled = (length, scale) => Float32Array.from({ length }, (_, i) => scale * Math.sin(i + 1));
const weights = filled(96, 0.5);
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
    moved: weights[0] !== 0.5 * Math.fround(Math.sin(1)),
    bits,
  }),
);
