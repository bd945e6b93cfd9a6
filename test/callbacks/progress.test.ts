import * as data from '@tensorflow/tfjs-data';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { formatDuration } from '../../src/callbacks/progress.js';
import { callbacks, ftp } from '../../src/index.js';
import { runNode } from '../package/support.js';
import { makeModel, tf, train } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

/** A stream that keeps what is written. */
function recorder(more: Partial<callbacks.ProgressStream> = {}) {
  const written: string[] = [];
  return { written, stream: { write: (text: string) => written.push(text), ...more } };
}

const TIME = String.raw`\d+(\.\d)?s`;

describe('progress', () => {
  it('writes a line per epoch where there is no terminal', async () => {
    const { written, stream } = recorder();
    const model = makeModel(ftp.sgd(0.01));
    await train(model, 2, callbacks.progress({ stream }), { validationSplit: 0.5 });
    expect(written).toEqual([
      expect.stringMatching(
        new RegExp(`^epoch 1/2 1 batches ${TIME} loss [-\\d.e]+ val_loss [-\\d.e]+ eta ${TIME}\n$`),
      ),
      expect.stringMatching(new RegExp(`^epoch 2/2 1 batches ${TIME} loss [-\\d.e]+ val_loss [-\\d.e]+\n$`)),
    ]);
  });

  it('draws one line again on a terminal, no wider than it', async () => {
    const { written, stream } = recorder({ isTTY: true, columns: 60 });
    const model = makeModel(ftp.sgd(0.01));
    await train(model, 2, [callbacks.progress({ stream })]);
    const last = written.filter((text) => text.endsWith('\n'));
    const between = written.filter((text) => !text.endsWith('\n'));
    expect(last).toHaveLength(2);
    expect(between.length).toBeGreaterThanOrEqual(2);
    expect(between[0]).toMatch(
      new RegExp(String.raw`^\repoch 1/2 \[={10}> {9}\] 1/2 loss [-\d.e]+ eta ${TIME}\x1b\[K$`),
    );
    const { written: narrow, stream: narrowStream } = recorder({ isTTY: true, columns: 12 });
    await train(model, 1, [callbacks.progress({ stream: narrowStream })]);
    expect(narrow.at(-1)).toBe('\repoch 1/1 2\x1b[K\n');
  });

  it('knows the number of batches of a dataset after its first epoch', async () => {
    const { written, stream } = recorder({ isTTY: true, columns: 200 });
    const model = makeModel(ftp.sgd(0.01));
    const rows = Array.from({ length: 6 }, (_, i) => ({ xs: [i, 1], ys: [i] }));
    const unsized = data.generator(() => rows[Symbol.iterator]()).batch(2) as data.Dataset<never>;
    await model.fitDataset(unsized, {
      epochs: 2,
      verbose: 0,
      callbacks: callbacks.progress({ stream }),
    });
    expect(written[0]).toMatch(/^\repoch 1\/2 1 batches loss [-\d.e]+.\[K$/);
    expect(written.find((text) => text.includes('epoch 2/2'))).toMatch(/2\/2 \[=+> +\] 1\/3 loss .* eta /);
  });

  it('leaks nothing', async () => {
    const { stream } = recorder({ isTTY: true });
    const model = makeModel(ftp.sgd(0.01));
    await train(model, 1, []);
    const before = tf.memory().numTensors;
    await train(model, 2, [callbacks.progress({ stream })]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses wrong options', () => {
    expect(() => callbacks.progress({ stream: 'stderr' as never })).toThrow(
      new TypeError("stream must have a function write, got 'stderr'"),
    );
    expect(() => callbacks.progress({ width: 3 } as never)).toThrow(TypeError);
  });

  test.each([
    [400, '0.4s'],
    [9960, '10s'],
    [59_600, '1m00s'],
    [185_000, '3m05s'],
    [7_620_000, '2h07m'],
  ])('%i ms are %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
});

describe('where tfjs-layers comes from', () => {
  const script = (load: string) => `
    ${load}
    const { callbacks } = await import('tfjs-ftp');
    try { callbacks.progress(); console.log('made'); } catch (error) { console.log(error.code); }
  `;
  test.each([
    ["import '@tensorflow/tfjs-layers';", 'made'],
    [
      "import { createRequire } from 'node:module'; createRequire(process.cwd() + '/x')('@tensorflow/tfjs');",
      'made',
    ],
    ['', 'TFJS_LAYERS_NOT_FOUND'],
  ])('%s', async (load, expected) => {
    const { stdout, stderr } = await runNode(['--input-type=module', '-e', script(load)]);
    expect(stdout.trim().split('\n').at(-1), stderr).toBe(expected);
  });
});
