/** One run: a model is put back to its pre-trained weights, fine-tuned with one method, and judged on every set. */
import * as tf from '@tensorflow/tfjs-core';
import { FtpError, recipes } from 'tfjs-ftp';
import { Random } from '../tools/random.js';
import { type Method, PROBE, type Settings } from './methods.js';
import { packScores, type Run, type RunKey, type SetResult } from './store.js';
import type { Examples, OpenTask } from './task.js';

const EVALUATION_BATCH = 128;
/** Steps at the end whose mean loss is noted. */
const LAST_STEPS = 10;

type Layer = OpenTask['model']['layers'][number];

/** A task's model with the weights that it came with, to be put back. */
export class Subject {
  private readonly start: tf.NamedTensorMap;
  private readonly unfold: () => void;

  constructor(readonly task: OpenTask) {
    this.unfold = recipes.foldBatchNorm(task.model);
    this.start = recipes.copyWeights(task.model);
  }

  get model() {
    return this.task.model;
  }

  reset(): void {
    for (const layer of this.model.layers) {
      for (const weight of layer.weights) weight.write(this.start[weight.name] as tf.Tensor);
    }
  }

  /** The variables that are trained. */
  variables(trains: Method['trains']): tf.Variable[] {
    const trained = (layer: Layer) => trains === 'all' || layer.name === this.task.head;
    return this.model.layers
      .filter(trained)
      .flatMap((layer) => layer.trainableWeights.map((weight) => weight.read() as tf.Variable));
  }

  /** How far each kernel is from its start, as a share of its size. The head has none that means something. */
  moved(): Record<string, number | null> {
    const kernels = this.model.layers
      .filter((layer) => layer.name !== this.task.head)
      .flatMap((layer) => layer.weights.filter((weight) => /kernel/.test(weight.originalName)));
    return Object.fromEntries(
      kernels.map((weight) => {
        const share = tf.tidy(() => {
          const anchor = this.start[weight.name] as tf.Tensor;
          return tf.div(tf.norm(tf.sub(weight.read(), anchor)), tf.norm(anchor)).dataSync()[0] as number;
        });
        return [weight.originalName, finite(rounded(share, 6))];
      }),
    );
  }

  dispose(): void {
    this.unfold();
    tf.dispose(this.start);
  }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** JSON has no other numbers. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Indices of batches without end: every example once, in a new order each time. */
export function* batchesOf(count: number, batchSize: number, random: Random): Generator<number[], never> {
  let left: number[] = [];
  for (;;) {
    while (left.length < batchSize)
      left = left.concat(random.shuffle(Array.from({ length: count }, (_, i) => i)));
    yield left.slice(0, batchSize);
    left = left.slice(batchSize);
  }
}

/** Numbers units, and lists of them, in the order in which they come. */
class Units {
  private readonly names = new Map<string, number>();
  private readonly byText = new Map<string, number>();
  readonly lists: number[][] = [];

  /** The number of a list, the same for the same units. */
  list(units: readonly string[]): number {
    const text = units.join('\n');
    const known = this.byText.get(text);
    if (known !== undefined) return known;
    for (const unit of units) if (!this.names.has(unit)) this.names.set(unit, this.names.size);
    this.byText.set(text, this.lists.length);
    return this.lists.push(units.map((unit) => this.names.get(unit) as number)) - 1;
  }

  get units(): string[] {
    return [...this.names.keys()];
  }
}

/** Reads predictions of all examples, and their mean loss. */
async function judge(
  task: OpenTask,
  examples: Examples,
  units: Units,
): Promise<SetResult & { loss: number }> {
  const scores: number[] = [];
  const predictions: number[] = [];
  let loss = 0;
  const count = examples.units.length;
  for (let first = 0; first < count; first += EVALUATION_BATCH) {
    const size = Math.min(EVALUATION_BATCH, count - first);
    const { xs, ys } = examples.batch(Array.from({ length: size }, (_, i) => first + i));
    const predicted = tf.tidy(() => task.model.apply(xs, { training: false }) as tf.Tensor);
    loss += size * (tf.tidy(() => task.loss(ys, predicted).dataSync()[0]) as number);
    const results = await task.judge(ys, predicted);
    scores.push(...results.scores);
    predictions.push(...(results.predictions ?? []));
    tf.dispose([xs, ys, predicted]);
  }
  return {
    mean: scores.reduce((sum, score) => sum + score, 0) / count,
    loss: loss / count,
    scores: packScores(scores.map((score) => rounded(score, 4))),
    list: units.list(examples.units),
    ...(predictions.length > 0 ? { predictions } : {}),
  };
}

interface TrainOptions {
  steps: number;
  batchSize: number;
  order: Random;
  onStep: (step: number, loss: number) => void;
}

interface Trained {
  loss: number;
  /** The step whose gradient was not finite, after which training could not go on. */
  divergedAt?: number;
  secondsPerStep: number;
  implementation: string;
}

/** Runs the steps of one optimizer. */
async function train(
  { task, model, variables }: { task: OpenTask; model: OpenTask['model']; variables: tf.Variable[] },
  method: Method,
  settings: Settings,
  anchor: tf.NamedTensorMap | undefined,
  { steps, batchSize, order, onStep }: TrainOptions,
): Promise<Trained> {
  const { head } = task;
  const optimizer = method.optimizer({ model, head, steps }, settings);
  const batches = batchesOf(task.training.units.length, batchSize, order);
  // All of the validation set; TPGM takes its batches from it.
  const heldOut = anchor && task.validation.batch(task.validation.units.map((_, i) => i));
  const radii =
    heldOut &&
    recipes.tpgm(model, {
      anchor,
      heldOut,
      batchSize,
      loss: (ys, predictions) => task.loss(ys as tf.Tensor, predictions as tf.Tensor),
      learningRate: settings.constraintRate as number,
      exclude: [{ layer: head }],
    });
  const seconds: number[] = [];
  const losses: number[] = [];
  let divergedAt: number | undefined;
  const takeStep = async ({ xs, ys }: { xs: tf.Tensor; ys: tf.Tensor }): Promise<number> => {
    // A tidy, since a step that throws leaves what the loss was made of.
    const lossOf = () => task.loss(ys, model.apply(xs, { training: true }) as tf.Tensor);
    const cost = tf.tidy(() => optimizer.minimize(lossOf, true, variables) as tf.Scalar);
    try {
      await radii?.afterStep();
      // Reading the loss, so that the step is over.
      return cost.dataSync()[0] as number;
    } finally {
      cost.dispose();
    }
  };
  try {
    for (let step = 1; step <= steps && divergedAt === undefined; ++step) {
      const batch = task.training.batch(batches.next().value);
      const start = performance.now();
      try {
        losses.push(await takeStep(batch));
        seconds.push((performance.now() - start) / 1000);
        onStep(step, losses.at(-1) as number);
      } catch (error) {
        // A result: these settings do not train. The weights are those of before the step.
        if (!(error instanceof FtpError && error.code.startsWith('NON_FINITE'))) throw error;
        divergedAt = step;
      } finally {
        tf.dispose([batch.xs, batch.ys]);
      }
    }
    const last = losses.slice(-LAST_STEPS);
    return {
      loss: last.reduce((sum, loss) => sum + loss, 0) / last.length,
      secondsPerStep: seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)] as number,
      implementation: (optimizer as unknown as { implementation: string }).implementation,
      ...(divergedAt === undefined ? {} : { divergedAt }),
    };
  } finally {
    radii?.dispose();
    if (heldOut !== undefined) tf.dispose([heldOut.xs, heldOut.ys]);
    optimizer.dispose();
  }
}

/**
 * Does a run.
 *
 * @param onProgress how many of how many parts are done, and a word on the last.
 */
export async function doRun(
  subject: Subject,
  key: RunKey,
  method: Method,
  onProgress: (done: number, all: number, note: string) => void = () => {},
): Promise<Run> {
  const { task, model } = subject;
  const { steps, batchSize } = key.protocol;
  const sets = 2 + task.domains.length;
  const probes = method.probesFirst === true ? steps : 0;
  const all = probes + steps + sets;
  subject.reset();
  const options = (stage: string, before: number): TrainOptions => ({
    steps,
    batchSize,
    order: new Random(key.seed, 'order', stage),
    onStep: (step, loss) => onProgress(before + step, all, `loss ${loss.toFixed(3)}`),
  });
  const part = (trains: Method['trains']) => ({ task, model, variables: subject.variables(trains) });
  if (method.probesFirst) {
    await train(part('head'), method, PROBE, undefined, options('probe', 0));
  }
  const before = recipes.copyWeights(model);
  try {
    const anchor = method.learnsRadii ? before : undefined;
    const trained = await train(part(method.trains), method, key.settings, anchor, options('train', probes));
    const units = new Units();
    const alpha = method.interpolates
      ? (
          await recipes.interpolateSweep(model, before, {
            evaluate: async () => (await judge(task, task.validation, units)).mean,
            keep: 'best',
          })
        ).best.alpha
      : undefined;
    let done = probes + steps;
    const judged = async (examples: Examples) => {
      const { loss, ...result } = await judge(task, examples, units);
      onProgress(++done, all, `${(100 * result.mean).toFixed(1)}`);
      return { result, loss };
    };
    const validation = await judged(task.validation);
    const inDistribution = (await judged(task.inDistribution)).result;
    const domains: Run['domains'] = [];
    for (const { name, kind, examples } of task.domains) {
      domains.push({ name, kind, result: (await judged(examples)).result });
    }
    return {
      key,
      units: units.units,
      unitLists: units.lists,
      validation: { mean: validation.result.mean, loss: finite(validation.loss) },
      inDistribution,
      domains,
      moved: subject.moved(),
      trainingLoss: finite(rounded(trained.loss, 5)),
      ...(trained.divergedAt === undefined ? {} : { divergedAt: trained.divergedAt }),
      secondsPerStep: rounded(trained.secondsPerStep, 5),
      ...(alpha === undefined ? {} : { alpha }),
      leftOut: [...task.leftOut],
      environment: {
        node: process.versions.node,
        implementation: trained.implementation,
        date: new Date().toISOString().slice(0, 10),
      },
    };
  } finally {
    tf.dispose(before);
  }
}
