// The callback of fit and fitDataset, and data that know how far they were read.
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it, test } from 'vitest';
import {
  type CheckpointOptions,
  checkpoint,
  type ResumableDataset,
  resumable,
} from '../../src/checkpoint/index.js';
import { callbacks, ftp } from '../../src/index.js';
import { temporaryFolder } from '../package/support.js';
import {
  type Batch,
  bits,
  examples,
  layers,
  makeModel,
  shuffled,
  tf,
  tfdata,
  weightBits,
} from './support.js';

beforeAll(() => tf.setBackend('cpu'));

type Callback = layers.Callback;

/** Does something when a batch has ended, after the callbacks before it. */
function atBatch(at: (epoch: number, batch: number) => void): Callback {
  class At extends layers.Callback {
    private epoch = 0;
    override async onEpochBegin(epoch: number): Promise<void> {
      this.epoch = epoch;
    }
    override async onBatchEnd(batch: number): Promise<void> {
      at(this.epoch, batch);
    }
  }
  return new At();
}

const STOP = new Error('the process ends');

interface Run {
  directory: string;
  every?: 'epoch' | number;
  source?: Parameters<typeof resumable<Batch>>[0];
  /** Ends the process, as it were, after this many batches of it. */
  dieAfter?: number;
  /** Sets model.stopTraining after this many. */
  stopAfter?: number;
  patience?: number;
  epochs?: number;
  args?: object;
}

/** One process: a new model, new data, new callbacks. */
async function run({ directory, every = 3, source = shuffled(), dieAfter, stopAfter, ...more }: Run) {
  const optimizer = ftp.adamw(0.05);
  const model = makeModel(optimizer);
  const data = resumable(source);
  const stopping = callbacks.earlyStopping({ patience: more.patience ?? 9 });
  const plateau = callbacks.reduceOnPlateau({ patience: 1, factor: 0.5 });
  const saving = checkpoint(directory, { model, data, state: { stopping, plateau }, every });
  const position = await saving.resume();
  let done = 0;
  const die = atBatch(() => {
    if (++done === dieAfter) throw STOP;
    if (done === stopAfter) model.stopTraining = true;
  });
  const seen: string[] = [];
  const spy: ResumableDataset<Batch> = Object.create(data, {
    iterator: {
      value: async () => {
        const inner = await data.iterator();
        return {
          next: async () => {
            const result = await inner.next();
            if (result.done !== true) seen.push(bits(result.value.ys));
            return result;
          },
        };
      },
    },
  });
  const held = [tf.ones([3, 2]), tf.fill([3, 1], 0.4)] as [tf.Tensor, tf.Tensor];
  let error: unknown = null;
  if (!position.finished || more.epochs !== undefined) {
    try {
      await model.fitDataset(spy as never, {
        initialEpoch: position.epoch,
        epochs: more.epochs ?? 4,
        verbose: 0,
        validationData: held,
        callbacks: [stopping, plateau, saving, die] as never,
        ...more.args,
      });
    } catch (reason) {
      error = reason;
    }
  }
  const { bestWeights, ...found } = stopping.getState() as { bestWeights: tf.Tensor[] };
  const result = {
    weights: weightBits(model),
    rate: optimizer.learningRate,
    iterations: optimizer.iterations,
    found,
    best: bestWeights.map(bits),
    plateau: plateau.getState(),
    data: data.getState(),
  };
  return { result, position, seen, error, data };
}

describe('fitDataset goes on with the same batches and bits', () => {
  const byPass = (pass: number) =>
    tfdata.array(examples).shuffle(10, `seed ${pass}`).batch(3) as unknown as ReturnType<typeof shuffled>;

  it.each<[string, { every: 'epoch' | number; source: () => Run['source'] }]>([
    ['every epoch', { every: 'epoch', source: shuffled }],
    ['every batch', { every: 1, source: shuffled }],
    ['every 3 batches', { every: 3, source: shuffled }],
    ['data by pass, every 3 batches', { every: 3, source: () => byPass }],
  ])('%s, wherever it ended', async (_, { every, source }) => {
    const whole = await run({ directory: temporaryFolder(), every, source: source() });
    expect(whole.error).toBe(null);
    expect(whole.seen).toHaveLength(16);
    expect(
      new Set(whole.seen.map((_, i) => String(whole.seen.slice(4 * i, 4 * i + 4)))).size,
    ).toBeGreaterThan(3);
    // Four batches per epoch: within an epoch, at its last batch, at the first one, at the very end.
    for (const dieAfter of [2, 3, 4, 5, 7, 12, 16]) {
      const directory = temporaryFolder();
      const first = await run({ directory, every, source: source(), dieAfter });
      expect(first.error).toBe(STOP);
      const second = await run({ directory, every, source: source() });
      expect(second.error).toBe(null);
      const saved =
        every === 'epoch' ? Math.floor((dieAfter - 1) / 4) * 4 : Math.floor(dieAfter / every) * every;
      expect(second.position).toMatchObject({ step: saved, finished: false });
      expect(second.seen).toEqual(whole.seen.slice(saved));
      expect(second.result).toEqual(whole.result);
      // A third one has nothing to do.
      const third = await run({ directory, every, source: source() });
      expect(third.position).toMatchObject({ step: 16, epoch: 4, batch: 0, finished: true });
      expect(third.seen).toEqual([]);
      expect(third.result).toEqual(whole.result);
    }
  });

  it('after early stopping too, whose best weights a checkpoint holds', async () => {
    const options = { every: 1, patience: 1, epochs: 12 };
    const whole = await run({ directory: temporaryFolder(), ...options });
    const { stoppedEpoch } = whole.result.found as unknown as { stoppedEpoch: number };
    expect(stoppedEpoch).toBeGreaterThan(0);
    const directory = temporaryFolder();
    await run({ directory, ...options, dieAfter: 4 * stoppedEpoch + 1 });
    const second = await run({ directory, ...options });
    expect(second.seen).toHaveLength(3);
    expect(second.result).toEqual(whole.result);
  });

  it('from where model.stopTraining stopped it, also at the last batch of an epoch', async () => {
    const whole = await run({ directory: temporaryFolder() });
    for (const stopAfter of [2, 4, 6]) {
      const directory = temporaryFolder();
      const first = await run({ directory, stopAfter, every: 'epoch' });
      expect(first.error).toBe(null);
      const { position, seen, result } = await run({ directory, every: 'epoch' });
      expect(position).toMatchObject({ step: stopAfter, finished: false });
      expect(seen).toEqual(whole.seen.slice(stopAfter));
      expect(result.iterations).toBe(16);
    }
  });

  it('with more epochs than before, as a second fit does', async () => {
    const directory = temporaryFolder();
    await run({ directory, epochs: 2 });
    const { position, seen, result } = await run({ directory, epochs: 4 });
    expect(position).toMatchObject({ step: 8, epoch: 2, finished: true });
    expect(seen).toHaveLength(8);
    expect(result.iterations).toBe(16);
  });

  it('with batchesPerEpoch from the end of an epoch, and not from within', async () => {
    const source = () => tfdata.array(examples).batch(3).repeat() as unknown as ReturnType<typeof shuffled>;
    const args = { batchesPerEpoch: 3 };
    const whole = await run({ directory: temporaryFolder(), every: 'epoch', source: source(), args });
    expect(whole.seen).toHaveLength(12);
    const directory = temporaryFolder();
    await run({ directory, every: 'epoch', source: source(), args, dieAfter: 7 });
    const second = await run({ directory, every: 'epoch', source: source(), args });
    expect(second.seen).toEqual(whole.seen.slice(6));
    expect(second.result).toEqual(whole.result);

    const within = temporaryFolder();
    await run({ directory: within, every: 1, source: source(), args, dieAfter: 4 });
    const refused = await run({ directory: within, every: 1, source: source(), args });
    expect(refused.error).toMatchObject({ code: 'STATE_MISMATCH' });
  });
});

test('model.fit goes on from the start of an epoch', async () => {
  const [xs, ys] = [
    tf.randomNormal([10, 2], 0, 1, 'float32', 1),
    tf.randomNormal([10, 1], 0, 1, 'float32', 2),
  ];
  const train = async (directory: string, dieAfter?: number, stopAfter?: number) => {
    const model = makeModel(ftp.adamw(0.05));
    const saving = checkpoint(directory, { model });
    const { epoch } = await saving.resume();
    let done = 0;
    const die = atBatch(() => {
      if (++done === dieAfter) throw STOP;
      if (done === stopAfter) model.stopTraining = true;
    });
    const args = { initialEpoch: epoch, epochs: 3, batchSize: 3, shuffle: false, verbose: 0 as const };
    const ended = model.fit(xs, ys, { ...args, callbacks: [saving, die] as never });
    await (dieAfter === undefined ? ended : expect(ended).rejects.toThrow(STOP));
    return weightBits(model);
  };
  const whole = await train(temporaryFolder());
  for (const [dieAfter, stopAfter] of [[6], [undefined, 6]]) {
    const directory = temporaryFolder();
    await train(directory, dieAfter, stopAfter);
    // No place within an epoch is saved, to which there would be no way back.
    expect(fs.readdirSync(directory)).toEqual(['000001-step-4']);
    expect(await train(directory)).toEqual(whole);
  }
  tf.dispose([xs, ys]);
});

describe('what cannot work is an error', () => {
  it('another initialEpoch', async () => {
    const directory = temporaryFolder();
    await run({ directory, every: 'epoch', dieAfter: 10 });
    const { error } = await run({ directory, every: 'epoch', args: { initialEpoch: 0 } });
    expect(error).toEqual(new RangeError('initialEpoch must be 2, where the checkpoint goes on, got 0'));
  });

  it('another model, or other data', async () => {
    const model = makeModel(ftp.adamw(0.05));
    const data = resumable(shuffled());
    const saving = checkpoint(temporaryFolder(), { model, data });
    const args = { epochs: 1, verbose: 0 as const, callbacks: saving as never };
    await expect(makeModel(ftp.adamw(0.05)).fitDataset(data as never, args)).rejects.toThrow(
      /^model must be the one that is trained/,
    );
    await expect(model.fitDataset(shuffled() as never, args)).rejects.toThrow(
      /^data must be the dataset that fitDataset trains on/,
    );
  });

  it('wrong options', () => {
    const model = makeModel(null);
    const make = (options: object) => () => checkpoint('x', { model, ...options } as CheckpointOptions);
    expect(make({ every: 3 })).toThrow(/^every must be 'epoch' without data/);
    expect(make({ every: 'batch' })).toThrow(/^every must be 'epoch' or a number, got 'batch'$/);
    expect(make({ every: 0, data: resumable(shuffled()) })).toThrow(RangeError);
    expect(make({ model: undefined })).toThrow(/^model must be a tf\.LayersModel, got undefined$/);
    expect(make({ data: shuffled() })).toThrow(/^data must be a dataset that resumable has made/);
    expect(make({ often: 3 })).toThrow(/has no option 'often'/);
    expect(() => resumable([1] as never)).toThrow(/^source must be a tf\.data\.Dataset, got an array$/);
  });
});

describe('resumable', () => {
  const read = async (data: ResumableDataset<Batch>, batches: number) => {
    const seen: string[] = [];
    const iterator = await data.iterator();
    while (seen.length < batches) {
      const { value, done } = await iterator.next();
      if (done === true) break;
      seen.push(bits(value.ys));
      tf.dispose(value as never);
    }
    return seen;
  };

  it('disposes what it reads again, and counts a pass that was left', async () => {
    const data = resumable(shuffled());
    const first = await read(data, 9);
    expect(first).toHaveLength(4);
    expect(data.size).toBe(4);
    const second = await read(data, 3);
    expect(data.getState()).toEqual({ passes: 1, batches: 3 });
    const tensors = tf.memory().numTensors;
    const again = resumable(shuffled());
    again.setState({ passes: 1, batches: 2 });
    expect(again.getState()).toEqual({ passes: 1, batches: 2 });
    expect(await read(again, 1)).toEqual(second.slice(2));
    expect(tf.memory().numTensors).toBe(tensors);
    const third = await read(data, 9); // the second pass was left
    expect(data.getState()).toEqual({ passes: 3, batches: 0 });
    expect(await read(again, 9)).toEqual(third);
  });

  it('goes back only where the data are a function of the pass', async () => {
    const data = resumable(shuffled());
    await read(data, 9);
    await read(data, 9);
    expect(() => data.setState({ passes: 1, batches: 0 })).toThrow(/cannot go back to pass 1/);
    expect(data.getState()).toEqual({ passes: 2, batches: 0 });
    const passes: number[] = [];
    const byPass = resumable((pass) => {
      passes.push(pass);
      return shuffled();
    });
    await read(byPass, 9);
    byPass.setState({ passes: 0, batches: 0 });
    await read(byPass, 9);
    expect(passes).toEqual([0, 0]);
    expect(byPass.size).toBe(4);
  });

  it('refuses data with fewer batches than were read, a wrong state, and a function of no data', async () => {
    const data = resumable(shuffled());
    data.setState({ passes: 0, batches: 5 });
    await expect(read(data, 1)).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: expect.stringMatching(/end after 4/),
    });
    expect(() => data.setState({ passes: 1 })).toThrow(/^batches must be a whole number/);
    expect(() => data.setState(null)).toThrow(TypeError);
    await expect(read(resumable((() => 3) as never), 1)).rejects.toThrow(
      /^what the function of resumable returns/,
    );
  });
});

test('the main entry loads none of it', () => {
  const loaded = new Set<string>();
  const follow = (file: string) => {
    if (loaded.has(file)) return;
    loaded.add(file);
    const text = fs.readFileSync(file, 'utf8');
    for (const [, target = ''] of text.matchAll(/^(?:import|export) (?!type)[^;]*?from '(\.[^']+)\.js'/gm)) {
      follow(path.join(path.dirname(file), `${target}.ts`));
    }
  };
  follow(path.join(import.meta.dirname, '../../src/index.ts'));
  expect([...loaded].filter((file) => file.includes(`${path.sep}checkpoint${path.sep}`))).toEqual([]);
  expect(loaded.size).toBeGreaterThan(50);
});
