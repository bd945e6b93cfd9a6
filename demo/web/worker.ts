/** Fine-tunes a net with one method, off the page's thread, with the modules of the demo. */
import '@tensorflow/tfjs-backend-webgl';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import wasmUrl from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.wasm?url';
import simdUrl from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm?url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers';
import 'tfjs-ftp/models/gradients'; // the wasm backend cannot train convolutions without
import { Random } from '../../tools/random.js';
import modelJson from '../assets/pretrained/model.json';
import weightsUrl from '../assets/pretrained/weights.bin?url';
import { IMAGE_BYTES, IMAGE_SIZE } from '../characters.js';
import { corruptedSets } from '../corruptions.js';
import { type EvaluationSet, evaluate, setInMemory } from '../evaluation.js';
import { fineTune } from '../fine_tune.js';
import { METHODS, pretrainedWeights } from '../methods.js';
import type { BatchSource } from '../task.js';
import { HEAD, prepareTransfer } from '../transfer.js';
import type { Answer, BackendChoice, Data, Images, Request, Scores, TrainRequest } from './messages.js';

const SHAPE = [IMAGE_SIZE, IMAGE_SIZE, 3] as const;
/** One image of so many is tested while training; prime to the number of characters, so that all have their turn. */
const LIVE = 7;

const post = (answer: Answer) => self.postMessage(answer);

let model: LayersModel | null = null;
let classNames: string[] = [];
let stopped = false;

/** The renderer's name says whether WebGL runs on a graphics processor; on none, wasm is faster. */
function hasGraphicsProcessor(): boolean {
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  const info = gl?.getExtension('WEBGL_debug_renderer_info');
  if (!gl || !info) return false;
  return !/swiftshader|llvmpipe|software|basic render/i.test(
    String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)),
  );
}

async function startBackend(choice: BackendChoice): Promise<string> {
  const backend = choice === 'auto' ? (hasGraphicsProcessor() ? 'webgl' : 'wasm') : choice;
  // Threads of wasm need a page that is isolated from other origins, which a page of files is not.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths({
    'tfjs-backend-wasm.wasm': wasmUrl,
    'tfjs-backend-wasm-simd.wasm': simdUrl,
    'tfjs-backend-wasm-threaded-simd.wasm': simdUrl,
  });
  if (!(await tf.setBackend(backend))) throw new Error(`this browser has no ${backend}`);
  await tf.ready();
  return tf.getBackend();
}

async function loadPretrained(): Promise<LayersModel> {
  const load = async () => {
    const response = await fetch(weightsUrl);
    if (!response.ok) throw new Error(`the pre-trained weights cannot be read (${response.status})`);
    const weights = await response.arrayBuffer();
    const json = modelJson as unknown as tf.io.ModelJSON;
    return tf.io.getModelArtifactsForJSON(json, async (manifest) => [
      manifest.flatMap((group) => group.weights),
      weights,
    ]);
  };
  return loadLayersModel({ load });
}

const imagesOf = ({ pixels }: Images) =>
  Array.from({ length: pixels.length / IMAGE_BYTES }, (_, i) =>
    pixels.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES),
  );

function toSet(name: string, images: Images): EvaluationSet {
  return setInMemory(name, imagesOf(images), images.labels, SHAPE);
}

/** The set as it is, held as bytes: what changes images does so once. */
async function hold(sets: EvaluationSet[]): Promise<Images> {
  const parts: Uint8Array[] = [];
  const labels: number[] = [];
  for (const set of sets) {
    for await (const batch of set.batches()) {
      const bytes = tf.tidy(() => tf.round(tf.mul(tf.clipByValue(batch.xs, 0, 1), 255)));
      parts.push(Uint8Array.from(await bytes.data()));
      labels.push(...batch.labels);
      tf.dispose([bytes, batch.xs]);
    }
  }
  const pixels = new Uint8Array(labels.length * IMAGE_BYTES);
  let at = 0;
  for (const part of parts) {
    pixels.set(part, at);
    at += part.length;
  }
  return { pixels, labels };
}

function some({ pixels, labels }: Images, every: number): Images {
  const chosen = labels.flatMap((_, i) => (i % every === 0 ? [i] : []));
  const part = new Uint8Array(chosen.length * IMAGE_BYTES);
  for (const [to, from] of chosen.entries()) {
    part.set(pixels.subarray(from * IMAGE_BYTES, (from + 1) * IMAGE_BYTES), to * IMAGE_BYTES);
  }
  return { pixels: part, labels: chosen.map((i) => labels[i] as number) };
}

/** Batches without end: each image once, in an order by the seed, then all again. */
function batches(
  { training, classNames: { length: classes } }: Data,
  batchSize: number,
  seed: number,
): BatchSource {
  const images = imagesOf(training);
  return {
    async iterator() {
      const random = new Random(seed, 'batches');
      let left: number[] = [];
      return {
        async next() {
          const chosen: number[] = [];
          while (chosen.length < Math.min(batchSize, images.length)) {
            if (left.length === 0) left = random.shuffle(images.map((_, i) => i));
            chosen.push(left.pop() as number);
          }
          const values = new Float32Array(chosen.length * IMAGE_BYTES);
          for (const [to, from] of chosen.entries()) {
            const image = images[from] as Uint8Array;
            for (let i = 0; i < IMAGE_BYTES; ++i) values[to * IMAGE_BYTES + i] = (image[i] as number) / 255;
          }
          const labels = tf.tensor1d(
            chosen.map((i) => training.labels[i] as number),
            'int32',
          );
          const ys = tf.tidy(() => tf.cast(tf.oneHot(labels, classes), 'float32'));
          labels.dispose();
          return { done: false as const, value: { xs: tf.tensor4d(values, [chosen.length, ...SHAPE]), ys } };
        },
      };
    },
  };
}

async function score(inDistribution: EvaluationSet, shifted: readonly EvaluationSet[]): Promise<Scores> {
  const of = async (set: EvaluationSet) => (await evaluate(model as LayersModel, set)).accuracy;
  const first = await of(inDistribution);
  const scores = [];
  for (const set of shifted) scores.push({ name: set.name, accuracy: await of(set) });
  const meanShifted = scores.reduce((sum, { accuracy }) => sum + accuracy, 0) / scores.length;
  return { inDistribution: first, shifted: scores, meanShifted };
}

/** Messages that have come are handled in between: reading a tensor does not always wait for anything. */
const breathe = () => new Promise((resolve) => setTimeout(resolve));

async function train(request: TrainRequest): Promise<void> {
  const { data, seed, steps, batchSize, learningRate, testEvery } = request;
  const backend = await startBackend(request.backend);
  const method = METHODS[request.method];
  const transfer = prepareTransfer(await loadPretrained(), data.classNames.length, seed);
  transfer.reset(method.trains);
  model = transfer.model;
  classNames = data.classNames;
  const layers = model.layers.filter(
    ({ name, trainableWeights }) => name !== HEAD && trainableWeights.length > 0,
  );
  post({ type: 'started', backend, layers: layers.map(({ name }) => name) });

  const corrupted = await hold(
    corruptedSets(toSet('to corrupt', data.toCorrupt), seed, [0, 1]).map(({ set }) => set),
  );
  const shifted = [...data.shifted, { name: 'corrupted', images: corrupted }];
  const testSets = (every: number): [EvaluationSet, EvaluationSet[]] => [
    toSet('in distribution', some(data.inDistribution, every)),
    shifted.map(({ name, images }) => toSet(name, some(images, every))),
  ];
  // Few images are all tested.
  const live = testSets(data.inDistribution.labels.length > 10 * LIVE ? LIVE : 1);
  const anchors = pretrainedWeights(model).map((weight) => tf.clone(weight));
  const test = async (step: number) => {
    const distances = tf.tidy(() =>
      pretrainedWeights(model as LayersModel).map((weight, i) => {
        const anchor = anchors[i] as tf.Tensor;
        return tf.div(tf.norm(tf.sub(weight, anchor)), tf.norm(anchor));
      }),
    );
    const read = await Promise.all(distances.map(async (tensor) => (await tensor.data())[0] as number));
    tf.dispose(distances);
    post({ type: 'test', step, scores: await score(...live), distances: read });
  };

  await test(0);
  let done = 0;
  const task = {
    title: '',
    transfer,
    classNames: data.classNames,
    trainingImages: data.training.labels.length,
    training: async () => batches(data, batchSize, seed),
    inDistribution: live[0],
    shifted: live[1],
    toCorrupt: live[0],
    range: [0, 1] as const,
  };
  const { secondsPerStep, implementation } = await fineTune(
    task,
    method,
    { ...method.settings, learningRate },
    {
      steps,
      implementation: 'auto',
      async onStep(step, loss) {
        done = step;
        post({ type: 'step', step, loss });
        if (step % testEvery === 0 && step < steps) await test(step);
        await breathe();
        return !stopped;
      },
    },
  );
  await test(done);
  const scores = await score(...testSets(1));
  tf.dispose(anchors);
  transfer.dispose();
  post({ type: 'done', steps: done, scores, secondsPerStep, implementation });
}

async function predict(id: number, pixels: Uint8Array): Promise<void> {
  if (model === null) return;
  const net = model;
  const probabilities = tf.tidy(() => {
    const image = tf.tensor4d(
      Float32Array.from(pixels, (value) => value / 255),
      [1, ...SHAPE],
    );
    return tf.softmax(net.apply(image, { training: false }) as tf.Tensor2D);
  });
  const classes = Array.from(await probabilities.data(), (probability, i) => ({
    name: classNames[i] as string,
    probability,
  }));
  probabilities.dispose();
  post({
    type: 'prediction',
    id,
    classes: classes.sort((a, b) => b.probability - a.probability).slice(0, 3),
  });
}

const fail = (error: unknown) =>
  post({ type: 'failed', message: error instanceof Error ? error.message : String(error) });

self.addEventListener('message', ({ data }: MessageEvent<Request>) => {
  if (data.type === 'train') train(data).catch(fail);
  else if (data.type === 'predict') predict(data.id, data.pixels).catch(fail);
  else stopped = true;
});
