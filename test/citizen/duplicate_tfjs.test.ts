/** Two copies of tfjs-core in one process, as npm installs them when versions disagree: a clear error, no damage. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { root, runNode, temporaryFolder } from '../package/support.js';

/** A project with a tfjs-core of its own beside a tfjs-ftp that uses another one. */
function projectWithCopy(): string {
  const project = temporaryFolder();
  const modules = path.join(project, 'node_modules');
  const source = path.join(root, 'node_modules', '@tensorflow');
  const scope = path.join(modules, '@tensorflow');
  const core = path.join(scope, 'tfjs-core');
  fs.mkdirSync(path.join(core, 'dist'), { recursive: true });
  for (const file of ['package.json', 'dist/tf-core.node.js']) {
    fs.copyFileSync(path.join(source, 'tfjs-core', file), path.join(core, file));
  }
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(core, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const target = path.join(root, 'node_modules', name);
    if (!fs.existsSync(target)) continue; // types
    fs.mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
    fs.symlinkSync(target, path.join(modules, name));
  }
  fs.symlinkSync(root, path.join(modules, 'tfjs-ftp')); // resolves to the repository's own tfjs-core
  return project;
}

/**
 * Runs `body` with `tf` (the project's copy of the core), `tfjs` (all of tfjs on the copy of tfjs-ftp), and `ftp`;
 * what it returns. tfjs's copies share the engine of the one that was loaded first, which makes all variables.
 */
async function run(first: 'of the project' | 'of tfjs-ftp', body: string): Promise<unknown> {
  const project = projectWithCopy();
  const file = path.join(project, 'main.cjs');
  const script = `
    const { createRequire } = require('node:module');
    const fromFtp = createRequire(require.resolve('tfjs-ftp'));
    ${first === 'of the project' ? "require('@tensorflow/tfjs-core');" : ''}
    const tfjs = fromFtp('@tensorflow/tfjs');
    const tf = require('@tensorflow/tfjs-core');
    const { ftp } = require('tfjs-ftp');
    const attempt = async (action) => {
      try {
        return { value: await action() };
      } catch ({ name, code, message }) {
        return { name, code, message };
      }
    };
    (async () => {
      await tfjs.setBackend('cpu');
      if (tf.Variable === tfjs.Variable) throw new Error('there is one copy only');
      console.log('result ' + JSON.stringify(await (async () => {${body}})()));
    })();`;
  fs.writeFileSync(file, script);
  const { code, stdout, stderr } = await runNode([file]);
  expect(code, stderr).toBe(0);
  const line = stdout.split('\n').find((text) => text.startsWith('result '));
  return JSON.parse(line?.slice('result '.length) ?? 'null');
}

it('steps are refused with code, name and remedy, and have changed nothing', async () => {
  const result = await run(
    'of the project',
    `
    const variable = tf.variable(tf.tensor1d([3, 4]), true, 'mine');
    const gradient = tf.tensor1d([1, 1]);
    const optimizer = ftp.sgd(0.1, { anchors: { mine: gradient } });
    const model = tfjs.sequential({ layers: [tfjs.layers.dense({ units: 1, inputShape: [2] })] });
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const inputs = [tfjs.ones([2, 2]), tfjs.ones([2, 1])];
    const errors = [
      await attempt(() => optimizer.applyGradients({ mine: gradient })),
      await attempt(() => optimizer.applyGradients([{ name: 'mine', tensor: gradient }])),
      await attempt(() => optimizer.minimize(() => tf.sum(variable), false, [variable])),
      await attempt(() => model.trainOnBatch(...inputs)),
    ];
    return { errors, iterations: optimizer.iterations, left: [...variable.dataSync()], name: model.weights[0].name };`,
  );
  const { name } = result as { name: string };
  const refusal = (variable: string) => ({
    name: 'FtpError',
    code: 'DUPLICATE_TFJS',
    message: expect.stringMatching(
      new RegExp(`'${variable}' was made by another copy of @tensorflow/tfjs-core.*npm ls.*dedupe`, 's'),
    ),
  });
  expect(result).toEqual({
    errors: [refusal('mine'), refusal('mine'), refusal('mine'), refusal(name)],
    iterations: 0,
    left: [3, 4],
    name,
  });
});

it("a copy that is loaded after tfjs-ftp's does no harm: its variables are made by the first one's engine", async () => {
  const result = await run(
    'of tfjs-ftp',
    `
    const variable = tf.variable(tf.tensor1d([1, 2]), true, 'mine');
    const optimizer = ftp.sgd(0.1, { exclude: ['mine'] });
    optimizer.applyGradients({ mine: tf.tensor1d([1, 1]) });
    optimizer.minimize(() => tf.sum(variable), false, [variable]);
    return [...variable.dataSync()];`,
  );
  expect(result).toEqual([expect.closeTo(0.8), expect.closeTo(1.8)]);
});
