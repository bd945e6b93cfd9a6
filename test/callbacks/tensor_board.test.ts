import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { callbacks, ftp } from '../../src/index.js';
import { runNode } from '../package/support.js';
import { makeModel, tf, train } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

/** A writer that keeps what it is given. */
function recorder() {
  const written: Array<[string, number, number]> = [];
  let flushes = 0;
  const writer = {
    scalar: (name: string, value: number, step: number) => void written.push([name, value, step]),
    flush: () => void ++flushes,
  };
  return { writer, written, flushes: () => flushes };
}

describe('tensorBoard', () => {
  it('writes losses, rate and the constraint of every variable once per epoch', async () => {
    const { writer, written, flushes } = recorder();
    const optimizer = ftp.sgd(0.01);
    const model = makeModel(optimizer);
    const { history } = await train(model, 2, callbacks.tensorBoard(writer));
    const of = (name: string) => written.filter(([tag]) => tag === name);
    expect(of('epoch_loss')).toEqual(
      (history.loss as number[]).map((loss, epoch) => ['epoch_loss', loss, epoch]),
    );
    expect(of('epoch_learning_rate')).toEqual([0, 1].map((epoch) => ['epoch_learning_rate', 0.01, epoch]));
    expect(written.filter(([tag]) => tag.startsWith('batch_'))).toEqual([]);
    expect(flushes()).toBe(2);
    const reports = await optimizer.constraints();
    expect(reports.length).toBeGreaterThan(3);
    for (const { name, gamma, norm, meanRatio } of reports) {
      expect(of(`gamma/${name}`).at(-1)).toEqual([`gamma/${name}`, gamma, 1]);
      expect(of(`distance/${name}`).at(-1)).toEqual([`distance/${name}`, norm, 1]);
      expect(of(`mean_ratio/${name}`).at(-1)).toEqual([`mean_ratio/${name}`, meanRatio, 1]);
    }
  });

  it('counts batches on over epochs, for any optimizer, without constraints where they are not wanted', async () => {
    const { writer, written } = recorder();
    const more = { updateFrequency: 3, constraints: false };
    await train(makeModel(tf.train.sgd(0.01)), 3, callbacks.tensorBoard(writer, more)); // two batches an epoch
    expect(written.filter(([tag]) => tag === 'batch_loss').map(([, , step]) => step)).toEqual([3, 6]);
    expect(written.some(([tag]) => tag.startsWith('gamma/'))).toBe(false);
    await train(makeModel(tf.train.sgd(0.01)), 1, callbacks.tensorBoard(writer)); // constraints() is not there
  });

  it('refuses what it cannot write to', () => {
    const wrong = (value: unknown) => () => callbacks.tensorBoard(value as string);
    expect(wrong(3)).toThrow('target must be a folder or a writer with functions scalar and flush, got 3');
    expect(wrong('')).toThrow(RangeError);
    expect(wrong('logs')).toThrow(/TFJS_NODE_NOT_FOUND|tfjs-node, which this process has not loaded/);
    const { writer } = recorder();
    expect(() => callbacks.tensorBoard(writer, { updateFrequency: 0 })).toThrow(RangeError);
    expect(() => callbacks.tensorBoard(writer, { updateFrequency: 'batch' as 'epoch' })).toThrow(TypeError);
    expect(() => callbacks.tensorBoard(writer, { constraints: 1 as unknown as boolean })).toThrow(TypeError);
    expect(() => callbacks.tensorBoard(writer, { updateFreq: 1 } as object)).toThrow(/updateFreq/);
  });

  it("writes event files with tfjs-node's writer", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tfjs-ftp-events-'));
    try {
      const script = `
        import 'tfjs-ftp/compat';
        import * as tf from '@tensorflow/tfjs-node';
        import { callbacks, ftp } from 'tfjs-ftp';
        const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [2], units: 1, name: 'only' })] });
        model.compile({ optimizer: ftp.adamw(1e-3, { model }), loss: 'meanSquaredError' });
        const callback = callbacks.tensorBoard(${JSON.stringify(folder)});
        await model.fit(tf.ones([4, 2]), tf.ones([4, 1]), { epochs: 2, verbose: 0, callbacks: [callback] });`;
      const { code, stderr } = await runNode(['--input-type=module', '-e', script]);
      expect(code, stderr).toBe(0);
      const [file] = readdirSync(folder);
      const bytes = readFileSync(path.join(folder, file as string)).toString('latin1');
      for (const tag of ['epoch_loss', 'epoch_learning_rate', 'gamma/only/kernel', 'distance/only/bias']) {
        expect(bytes.includes(tag), tag).toBe(true);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
