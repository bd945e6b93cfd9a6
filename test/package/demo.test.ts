import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IMPLEMENTATIONS } from '../backends/implementations.js';
import { folderOf, solid } from '../data/image_files.js';

const DEMO = fileURLToPath(new URL('../../dist/tools/demo/main.js', import.meta.url));
const run = promisify(execFile);

/** Runs the demo as a user would, in a process of its own. */
async function demo(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, [DEMO, ...args], { timeout: 120_000 });
}

interface Results {
  columns: string[];
  classes: string[];
  frozen: string[];
  rows: { method: string; ood: Record<string, number>; [name: string]: unknown }[];
  sweep: unknown[] | null;
}

async function read(file: string): Promise<Results> {
  return JSON.parse(await readFile(file, 'utf8')) as Results;
}

/** Everything that must be the same in two runs with the same seed: all but the times. */
function withoutTimes(results: Results) {
  return results.rows.map(({ secondsPerStep, ...row }) => row);
}

let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tfjs-ftp-demo-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

// The demo trains with TensorFlow: where it is missing this is a skip by name, or a failure if it must be
// there.
const missing = IMPLEMENTATIONS.find(({ backend }) => backend === 'tensorflow')?.missing ?? null;
const required = process.env.TFJS_FTP_REQUIRE_TENSORFLOW === '1';

describe.skipIf(missing !== null && !required)(
  `demo${missing === null ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('writes images, a table and JSON, the same for the same seed', async () => {
      const tiny = ['--steps', '4', '--samples', '1', '--methods', 'adamw,ftp', '--seed', '7'];
      const [first, second] = ['first', 'second'].map((name) => join(directory, name)) as [string, string];
      const { stdout } = await demo(...tiny, '--out', first, '--json', join(first, 'results.json'));
      await demo(...tiny, '--out', second, '--json', join(second, 'results.json'));

      const folders = (await readdir(join(first, 'serial-codes'))).sort();
      expect(folders).toEqual([...'0123456789ABCDEFGHJKMNPQRSTVWXYZ']);
      const files = await readdir(join(first, 'serial-codes', 'Q'));
      expect(files.filter((file) => file.endsWith('.png'))).toHaveLength(10);

      const results = await read(join(first, 'results.json'));
      const columns = ['serif', 'mono', 'handwriting', 'display', 'recoloured', 'textured', 'corrupted'];
      expect(results.columns).toEqual(columns);
      expect(results.classes).toEqual(folders);
      expect(results.frozen).toEqual(['stem_conv', 'stem_norm', 'block1_norm', 'block2_norm', 'block3_norm']);
      expect(results.rows.map((row) => row.method)).toEqual(['adamw', 'ftp']);
      for (const row of results.rows) {
        expect(Object.keys(row.ood)).toEqual(columns);
        for (const share of [row.id, row.meanOod, ...Object.values(row.ood)]) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(1);
        }
        const average = Object.values(row.ood).reduce((sum, share) => sum + share, 0) / columns.length;
        expect(row.meanOod).toBeCloseTo(average, 12);
        expect(row.implementation).toMatch(/^tensorflow-(cpu|gpu)$/);
      }
      expect(results.sweep).toBeNull();
      for (const column of columns) expect(stdout).toContain(column);
      expect(stdout).toMatch(/AdamW .*\n.*FTP \(AdamW\)/);
      expect(stdout).toMatch(/^method 1 of 2: AdamW: ID .*\nmethod 2 of 2: FTP \(AdamW\): ID /m);
      expect(withoutTimes(await read(join(second, 'results.json')))).toEqual(withoutTimes(results));
    }, 120_000);

    it('runs on an image folder and a model of the user', async () => {
      const files: Record<string, Buffer> = {};
      for (let i = 0; i < 10; ++i) {
        files[`data/dark/${i}.png`] = await solid([5 * i, 10, 20], 9, 9);
        files[`data/light/${i}.png`] = await solid([200 + 5 * i, 220, 240], 9, 9);
        files[`dim/dark/${i}.png`] = await solid([i, 5, 10], 9, 9);
        files[`dim/light/${i}.png`] = await solid([120 + 5 * i, 140, 150], 9, 9);
      }
      files['data/dark/broken.png'] = Buffer.from('no image');
      const folder = await folderOf(files);
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, name: 'early' }),
          tf.layers.batchNormalization({ name: 'early_norm' }),
          tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu', name: 'late' }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 5, activation: 'softmax', name: 'old_head' }),
        ],
      });
      let saved: tf.io.ModelArtifacts | undefined;
      await model.save(
        tf.io.withSaveHandler(async (artifacts) => {
          saved = artifacts;
          return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
        }),
      );
      const { modelTopology, weightSpecs, weightData } = saved as Required<tf.io.ModelArtifacts>;
      await mkdir(join(folder.path, 'model'));
      const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
      await writeFile(
        join(folder.path, 'model', 'model.json'),
        JSON.stringify({ modelTopology, weightsManifest }),
      );
      await writeFile(join(folder.path, 'model', 'weights.bin'), Buffer.from(weightData as ArrayBuffer));
      try {
        const json = join(directory, 'own.json');
        const { stderr } = await demo(
          ...['--data', join(folder.path, 'data'), '--model', join(folder.path, 'model')],
          ...['--ood', `dim=${join(folder.path, 'dim')}`, '--freeze', '/^early$/', '--val', '0.3'],
          ...['--steps', '5', '--batch-size', '4', '--lr', '0.01', '--json', json],
        );
        expect(stderr).toContain(join('dark', 'broken.png'));
        const results = await read(json);
        expect(results.classes).toEqual(['dark', 'light']);
        expect(results.columns).toEqual(['dim', 'corrupted']);
        expect(results.frozen).toEqual(['early', 'early_norm']);
        expect(results.rows.map((row) => row.method)).toEqual(['adamw', 'l2sp', 'probe', 'ftp', 'ftp-sgd']);
        for (const row of results.rows) {
          expect(row.learningRate).toBe(0.01);
          expect(Object.keys(row.ood)).toEqual(['dim', 'corrupted']);
        }
      } finally {
        await folder.remove();
      }
    }, 120_000);

    it.each([
      [['--methods', 'adam'], /must name some of adamw, l2sp, probe, ftp, ftp-sgd/],
      [['--steps', '0'], /must be a whole number > 0/],
      [['--data', 'somewhere'], /--data and --model must be given together/],
      [['--ood', 'a=b'], /--ood cannot be given without --data and --model/],
      [['--val', '0.3', '--freeze', 'a'], /--freeze, --val cannot be given without --data and --model/],
      [['--task', 'kinds', '--data', 'a', '--model', 'b'], /--task cannot be given with --data/],
      [
        ['--data', 'src', '--model', 'package.json'],
        /cannot load the model .*package\.json: it has no modelTopology/,
      ],
      [['--data', 'nowhere', '--model', 'nowhere'], /--model: .*nowhere does not exist/],
    ])('says what is wrong with %j, without a stack', async (args, message) => {
      const failure = await demo(...args, '--out', directory).then(
        () => null,
        (error: { code: number; stderr: string }) => error,
      );
      expect(failure?.code).toBe(1);
      expect(failure?.stderr).toMatch(message);
      expect(failure?.stderr).not.toMatch(/\n {4}at /);
    });
  },
);

describe('--help', () => {
  it('names defaults in words', async () => {
    const { stdout } = await demo('--help');
    const text = stdout.replace(/\s+/g, ' ');
    expect(text).toMatch(/--methods <list> some of [a-z0-9,-]+ \(default: all\)/);
    expect(text).toMatch(/--ood <name=dir> .*may be repeated \(default: none\)/);
    expect(text).toMatch(/--pixels <low,high> .* \(default: 0,1\)/);
    expect(text).not.toMatch(/default: [{[]/);
  });
});

describe('what the demo needs', () => {
  it('ships its pre-trained model, of the size that the demo says', async () => {
    const require = createRequire(import.meta.url);
    const { weightsManifest } = require('../../demo/assets/pretrained/model.json') as {
      weightsManifest: { weights: { shape: number[] }[] }[];
    };
    const sizes = weightsManifest.flatMap(({ weights }) =>
      weights.map(({ shape }) => shape.reduce((product, size) => product * size, 1)),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(172262);
  });
});
