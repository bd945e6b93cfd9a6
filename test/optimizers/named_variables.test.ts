/** Options that name variables, or fit some: nothing of them is without effect in silence. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ExcludeOption, type FtpOptimizer, ftp } from '../../src/index.js';
import { fromConfigOf, randomVariable, snapshot, stepOnce } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

const warn = vi.spyOn(console, 'warn');
beforeEach(() => void warn.mockReset());
afterEach(() => {
  warn.mockReset();
  tf.disposeVariables();
});

const l = layers.layers;

/** The variables of a model's weights; tfjs lists those of shared layers twice. */
function variablesOf(model: layers.LayersModel): tf.Variable[] {
  const names = new Set(model.trainableWeights.map(({ name }) => name));
  return [...names].map((name) => tf.engine().registeredVariables[name] as tf.Variable);
}

/** A step must throw `code` and change nothing, however often it is tried. */
async function expectRefused(
  optimizer: FtpOptimizer,
  variables: tf.Variable[],
  code: string,
  message: string | RegExp,
): Promise<void> {
  const before = await snapshot(optimizer, variables);
  const tensors = tf.memory().numTensors;
  for (let attempt = 0; attempt < 2; ++attempt) {
    expect(() => stepOnce(optimizer, variables, 1)).toThrow(expect.objectContaining({ code }));
    expect(() => stepOnce(optimizer, variables, 1)).toThrow(message);
  }
  expect(tf.memory().numTensors).toBe(tensors);
  expect(await snapshot(optimizer, variables)).toEqual(before);
  expect(optimizer.iterations).toBe(0);
}

async function excludedBy(optimizer: FtpOptimizer): Promise<string[]> {
  return (await optimizer.constraints()).filter(({ excluded }) => excluded).map(({ name }) => name);
}

describe('a pattern of exclude', () => {
  const makers = {
    adamw: (exclude: ExcludeOption) => ftp.adamw(0.01, { exclude }),
    sgd: (exclude: ExcludeOption) => ftp.sgd(0.01, { exclude }),
    wrap: (exclude: ExcludeOption) => ftp.wrap(tf.train.adam(0.01), { exclude }),
  };

  it.each(Object.entries(makers))('%s: that matches nothing is refused', async (_, make) => {
    const variables = [randomVariable('body/kernel', [2, 3]), randomVariable('head/kernel', [3, 2])];
    const refused = async (exclude: ExcludeOption, message: string | RegExp) => {
      const optimizer = make(exclude);
      await expectRefused(optimizer, variables, 'UNMATCHED_PATTERN', message);
      optimizer.dispose();
    };
    await refused(
      ['haed/'],
      "exclude has 'haed/', which matches no variable; variables: body/kernel, head/kernel",
    );
    await refused(['head/', 'haed/'], "'haed/', which");
    await refused([/^Head/], 'exclude has /^Head/, which matches no variable; variables');
    await refused(['head/kernel$'], "'head/kernel$', which matches no variable (a string is a substring; ");
    await refused([{ layer: 'hea' }], "exclude has {layer: 'hea'}, which matches no variable");
    await refused([{ layer: 'kernel' }], "{layer: 'kernel'}"); // the weight's own name is no layer
  });

  it('matches a variable that only a later step brings, or none does', async () => {
    const body = randomVariable('body/kernel', [2, 3]);
    const later = randomVariable('later/kernel', [2, 3]);
    randomVariable('frozen/kernel', [2, 3]);
    const optimizer = ftp.sgd(0.01, { exclude: [{ layer: 'later' }, 'frozen/'] });
    optimizer.applyGradients({}); // no variables yet: nothing to check
    stepOnce(optimizer, [body], 1);
    stepOnce(optimizer, [body, later], 2);
    expect(await excludedBy(optimizer)).toEqual(['later/kernel']);
    later.dispose();
    stepOnce(optimizer, [body], 3); // checked once: layers may go
    optimizer.dispose();
  });

  it('matches a weight of the model that has no variable of that name', () => {
    const weight = { name: 'ghost/kernel', originalName: 'ghost/kernel', shape: [1] };
    const real = { name: 'body/kernel', originalName: 'body/kernel', shape: [2, 3] };
    const model = { layers: [{ name: 'body', weights: [real, weight] }] };
    const optimizer = ftp.sgd(0.01, { model, exclude: ['ghost/'] });
    stepOnce(optimizer, [randomVariable('body/kernel', [2, 3])], 1);
    expect(optimizer.iterations).toBe(1);
    optimizer.dispose();
  });

  it('is not checked where exclude is a predicate, or was saved after it had matched', async () => {
    const body = randomVariable('body/kernel', [2, 3]);
    const head = randomVariable('head/kernel', [2, 3]);
    const predicate = ftp.adamw(0.01, { exclude: () => false });
    stepOnce(predicate, [body], 1);
    const saver = ftp.adamw(0.01, { exclude: ['head/', /^head/, { layer: 'head' }] });
    stepOnce(saver, [body, head], 1);
    head.dispose();
    const restored = fromConfigOf(saver);
    const weights = await saver.getWeights();
    await restored.setWeights(weights);
    stepOnce(restored, [body], 2);
    expect(restored.iterations).toBe(2);
    // Saved before any step, it is still to be checked.
    const unused = ftp.adamw(0.01, { exclude: ['haed/'] });
    const untried = fromConfigOf(unused);
    await expectRefused(untried, [body], 'UNMATCHED_PATTERN', "'haed/'");
    tf.dispose(weights.map(({ tensor }) => tensor));
    for (const optimizer of [predicate, saver, restored, unused, untried]) optimizer.dispose();
  });

  it('is checked also where a state was loaded, and fits names with a suffix', async () => {
    const [body, head] = [randomVariable('body/kernel', [2, 3]), randomVariable('head/kernel', [2, 3])];
    const options = { exclude: [{ layer: 'head' }] };
    const saver = ftp.sgd(0.01, options);
    stepOnce(saver, [body, head], 1);
    const weights = await saver.getWeights();
    tf.dispose([body, head]);
    const renamed = [randomVariable('body/kernel_1', [2, 3]), randomVariable('head/kernel_1', [2, 3])];
    const loader = ftp.sgd(0.01, options);
    await loader.setWeights(weights);
    stepOnce(loader, renamed, 2);
    expect(await excludedBy(loader)).toEqual(['head/kernel_1']);
    const wrong = ftp.sgd(0.01, { exclude: [{ layer: 'head' }, 'haed'] });
    await wrong.setWeights(weights);
    expect(() => stepOnce(wrong, renamed, 2)).toThrow("'haed', which matches no variable");
    tf.dispose(weights.map(({ tensor }) => tensor));
    for (const optimizer of [saver, loader, wrong]) optimizer.dispose();
  });
});

describe('exclude of a layer', () => {
  it('without a model: by the path, not by a part of a name', async () => {
    const names = ['head/kernel', 'head/bias_1', 'net/head/w', 'multi_head_attention/query/kernel', 'x/head'];
    const variables = names.map((name) => randomVariable(name, [2, 2]));
    const optimizer = ftp.sgd(0.01, { exclude: [{ layer: 'head' }] });
    stepOnce(optimizer, variables, 1);
    expect(await excludedBy(optimizer)).toEqual(['head/kernel', 'head/bias_1', 'net/head/w']);
    optimizer.dispose();
  });

  /** A functional model whose layer `inner_net` is a model, one of whose layers is shared with `outer`. */
  function nested() {
    const shared = l.dense({ units: 3, name: 'shared_one', useBias: false });
    const inner = layers.sequential({
      name: 'inner_net',
      layers: [l.dense({ units: 3, inputShape: [3], name: 'deep', useBias: false }), shared],
    });
    const input = layers.input({ shape: [3] });
    const again = shared.apply(inner.apply(input)) as layers.SymbolicTensor;
    const wrapped = l.bidirectional({
      layer: l.simpleRNN({ units: 2, name: 'rnn', recurrentInitializer: 'glorotUniform' }) as layers.RNN,
      name: 'both_ways',
      mergeMode: 'concat',
    });
    const sequence = l.reshape({ targetShape: [1, 3] }).apply(again);
    const hidden = wrapped.apply(sequence);
    const outputs = l.dense({ units: 2, name: 'the_head' }).apply(hidden) as layers.SymbolicTensor;
    return layers.model({ inputs: input, outputs });
  }
  const withoutSuffix = (names: string[]) => names.map((name) => name.replace(/_\d+$/, ''));

  it.each([
    ['the_head', ['the_head/kernel', 'the_head/bias']],
    ['deep', ['deep/kernel']],
    ['shared_one', ['shared_one/kernel']],
    ['inner_net', ['deep/kernel', 'shared_one/kernel']],
  ])('with a model: %s', async (layer, expected) => {
    for (let round = 0; round < 2; ++round) {
      const model = nested(); // the second time, all weights have a suffix
      const optimizer = ftp.adamw(0.01, { model, exclude: [{ layer }] });
      stepOnce(optimizer, variablesOf(model), 1);
      expect(withoutSuffix(await excludedBy(optimizer))).toEqual(expected);
      // Without the model, the configuration still names the same weights.
      const restored = fromConfigOf(optimizer);
      expect(restored.getConfig()).toEqual(optimizer.getConfig());
      const weights = await optimizer.getWeights();
      await restored.setWeights(weights);
      const loaded = nested();
      stepOnce(restored, variablesOf(loaded), 2);
      expect(withoutSuffix(await excludedBy(restored))).toEqual(expected);
      tf.dispose(weights.map(({ tensor }) => tensor));
      for (const disposable of [optimizer, restored]) disposable.dispose();
      model.dispose();
      loaded.dispose();
    }
  });

  it('with a model: a wrapper has the weights of both directions', async () => {
    const model = nested();
    const optimizer = ftp.adamw(0.01, { model, exclude: [{ layer: 'both_ways' }] });
    stepOnce(optimizer, variablesOf(model), 1);
    const excluded = await excludedBy(optimizer);
    expect(excluded).toHaveLength(6);
    optimizer.dispose();
    model.dispose();
  });

  it('with a model: a layer that it has not is refused, whatever other variables are called', async () => {
    const model = nested();
    randomVariable('elsewhere/kernel', [2]);
    for (const layer of ['elsewhere', 'the_haed', model.name]) {
      const optimizer = ftp.adamw(0.01, { model, exclude: [{ layer }] });
      await expectRefused(
        optimizer,
        variablesOf(model),
        'UNMATCHED_PATTERN',
        `exclude has {layer: '${layer}'}`,
      );
      optimizer.dispose();
    }
    model.dispose();
  });
});

describe('model', () => {
  const dense = () => layers.sequential({ layers: [l.dense({ units: 2, inputShape: [3], name: 'one' })] });

  it('that has none of the variables is refused', async () => {
    const [trained, other] = [dense(), dense()];
    for (const make of [ftp.adamw, ftp.sgd]) {
      const optimizer = make(0.01, { model: other });
      await expectRefused(
        optimizer,
        variablesOf(trained),
        'MODEL_MISMATCH',
        /^model has none of the variables of this step \(one\/kernel.*\); its weights: one\/kernel_.*, one\/bias/,
      );
      stepOnce(optimizer, [...variablesOf(trained), ...variablesOf(other)], 1); // one of them is enough
      optimizer.dispose();
    }
    const empty = ftp.sgd(0.01, { model: { layers: [] } });
    await expectRefused(empty, variablesOf(trained), 'MODEL_MISMATCH', 'its weights: none');
    empty.dispose();
    trained.dispose();
    other.dispose();
  });

  const SHAPES: Record<string, number[]> = {
    'words/embeddings': [6, 4],
    'dw/depthwise_kernel_1': [3, 3, 4, 2],
    'conv2d_transpose_Conv2DTranspose1/kernel': [2, 2, 5, 4],
    'block/up_conv3d_transpose/kernel': [2, 2, 2, 5, 4],
  };
  const HARMLESS: Record<string, number[]> = {
    'conv2d_transpose_Conv2DTranspose1/bias': [5],
    'one_channel/depthwise_kernel': [3, 3, 1, 2],
    'sep/pointwise_kernel': [1, 1, 4, 2],
    'dense/kernel': [3, 4],
    'positions/embeddings': [2, 3, 4],
  };

  it('missing: rows that are likely wrong are named in one warning', () => {
    const make = (shapes: Record<string, number[]>) =>
      Object.entries(shapes).map(([name, shape]) => randomVariable(name, shape));
    const [doubtful, harmless] = [make(SHAPES), make(HARMLESS)];
    const optimizer = ftp.adamw(0.01);
    stepOnce(optimizer, harmless, 1);
    expect(warn).not.toHaveBeenCalled();
    stepOnce(optimizer, [...harmless, ...doubtful], 2);
    expect(warn).toHaveBeenCalledTimes(1);
    const text = String(warn.mock.calls[0]?.[0]);
    for (const name of Object.keys(SHAPES)) expect(text).toContain(`'${name}'`);
    for (const name of Object.keys(HARMLESS)) expect(text).not.toContain(`'${name}'`);
    expect(text).toMatch(/^tfjs-ftp: the rows of .*`model`.*`outputAxis`/);
    stepOnce(optimizer, [...doubtful, randomVariable('more/embeddings', [6, 4])], 3);
    expect(warn).toHaveBeenCalledTimes(1);
    optimizer.dispose();
  });

  it('missing: no warning where outputAxis answers, the variable is excluded, or its rows were saved', async () => {
    const variables = Object.entries(SHAPES).map(([name, shape]) => randomVariable(name, shape));
    const answered = ftp.adamw(0.01, { outputAxis: () => -1 });
    const excluded = ftp.adamw(0.01, { exclude: [/./] });
    for (const optimizer of [answered, excluded]) stepOnce(optimizer, variables, 1);
    expect(warn).not.toHaveBeenCalled();
    const plain = ftp.adamw(0.01);
    stepOnce(plain, variables, 1);
    expect(warn).toHaveBeenCalledTimes(1);
    const restored = fromConfigOf(plain);
    const weights = await plain.getWeights();
    await restored.setWeights(weights);
    stepOnce(restored, variables, 2);
    expect(warn).toHaveBeenCalledTimes(1);
    tf.dispose(weights.map(({ tensor }) => tensor));
    for (const optimizer of [answered, excluded, plain, restored]) optimizer.dispose();
  });

  it('given: no warning, and a warning for a variable that it lacks', () => {
    const model = layers.sequential({
      layers: [l.embedding({ inputDim: 6, outputDim: 4, inputLength: 2, name: 'given' })],
    });
    const optimizer = ftp.adamw(0.01, { model });
    const [embeddings] = model.weights;
    const variable = tf.engine().registeredVariables[embeddings?.name ?? ''] as tf.Variable;
    stepOnce(optimizer, [variable], 1);
    expect(warn).not.toHaveBeenCalled();
    stepOnce(optimizer, [variable, randomVariable('other/embeddings', [6, 4])], 2);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(String(warn.mock.calls[0]?.[0])).toContain("the rows of 'other/embeddings' are");
    optimizer.dispose();
    model.dispose();
  });
});
