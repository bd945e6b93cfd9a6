// Data are fetched once, checked, and missing by name; the table of emoji is split as it says; models are cut whole.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { augmented } from '../../experiments/augment.js';
import { type DataPackage, MissingData, packageFolder } from '../../experiments/data/packages.js';
import { draw, normalCode, svgOf } from '../../experiments/emoji/sets.js';
import { emojiOf, readTable } from '../../experiments/emoji/table.js';
import { FeatureExamples, featuresOf } from '../../experiments/features.js';
import { cutConfig } from '../../experiments/networks/mobilenet.js';
import { Random } from '../../tools/random.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-data-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('packageFolder', () => {
  const wanted: DataPackage = {
    ...{ name: '@some/data', version: '1.0.0', integrity: 'sha512-right', licence: 'MIT', origin: 'tests' },
  };
  /** Leaves what npm leaves, and counts. */
  function npmWith(integrity: string) {
    const calls: string[][] = [];
    const npm = async (args: string[]) => {
      calls.push(args);
      const modules = path.join(args[args.indexOf('--prefix') + 1] as string, 'node_modules');
      fs.mkdirSync(path.join(modules, '@some/data'), { recursive: true });
      fs.writeFileSync(path.join(modules, '@some/data', 'icons.json'), '{}');
      const packages = { 'node_modules/@some/data': { integrity } };
      fs.writeFileSync(path.join(modules, '.package-lock.json'), JSON.stringify({ packages }));
      return '';
    };
    return { npm, calls };
  }

  it('fetches a package once, without its scripts', async () => {
    const cache = path.join(folder, 'once');
    const { npm, calls } = npmWith('sha512-right');
    const found = await packageFolder(wanted, cache, npm);
    expect(fs.existsSync(path.join(found, 'icons.json'))).toBe(true);
    expect(await packageFolder(wanted, cache, npm)).toBe(found);
    expect(calls).toHaveLength(1);
    expect(calls[0]).toEqual(
      expect.arrayContaining(['install', '@some/data@1.0.0', '--ignore-scripts', '--no-save']),
    );
    expect(fs.readdirSync(cache)).toEqual(['@some+data@1.0.0']);
  });

  it('refuses another content, and says why there is none', async () => {
    const cache = path.join(folder, 'refused');
    await expect(packageFolder(wanted, cache, npmWith('sha512-wrong').npm)).rejects.toThrow(
      '@some/data@1.0.0 could not be fetched: its sha512-wrong is not the sha512-right that was expected',
    );
    const offline = () =>
      Promise.reject(Object.assign(new Error('x'), { stderr: 'npm error network\nmore' }));
    const failing = packageFolder(wanted, cache, offline);
    await expect(failing).rejects.toThrow(MissingData);
    await expect(failing).rejects.toThrow('@some/data@1.0.0 could not be fetched: npm error network');
    expect(fs.readdirSync(cache)).toEqual([]);
  });
});

describe('the table of emoji', () => {
  it('has no emoji in two splits of a seed, and tests on others with each seed', async () => {
    const table = await readTable();
    expect(table.classes).toHaveLength(24);
    expect(new Set(table.emoji.map(({ code }) => code)).size).toBe(table.emoji.length);
    const tested = new Set<string>();
    const validated = emojiOf(table, 'validation', 1);
    for (const seed of [1, 2, 3]) {
      const parts = (['train', 'validation', 'test'] as const).map((split) => emojiOf(table, split, seed));
      expect(new Set(parts.flat().map(({ code }) => code)).size).toBe(table.emoji.length);
      expect(parts.flat()).toHaveLength(table.emoji.length);
      expect(parts[1]).toEqual(validated);
      // Each class is in each part.
      for (const part of parts) expect(new Set(part.map(({ label }) => label)).size).toBe(24);
      for (const { code } of parts[2] ?? []) {
        expect(tested.has(code)).toBe(false);
        tested.add(code);
      }
    }
  });
});

describe('drawings', () => {
  const set = {
    ...{ width: 32, height: 32, left: 2 },
    icons: { sun: { body: '<path fill="currentColor"/>', width: 20 } },
    aliases: { star: { parent: 'sun', height: 10 }, loop: { parent: 'loop' } },
  };

  it('become SVG by name or alias, with the numbers of icon, alias and set', () => {
    expect(svgOf(set, 'sun')).toContain('viewBox="2 0 20 32"');
    expect(svgOf(set, 'star')).toContain('viewBox="2 0 20 10"');
    expect(svgOf(set, 'star')).toContain('fill="#000"');
    expect(svgOf(set, 'loop')).toBeUndefined();
    expect(svgOf(set, 'moon')).toBeUndefined();
    expect(normalCode('2764-FE0F-200D-1F525')).toBe('2764-200d-1f525');
  });

  it('fill the square whatever margin they have, on white', async () => {
    const svg = (box: string) =>
      Buffer.from(
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" width="32" height="32"><rect x="8" y="8" width="16" height="16" fill="#f00"/></svg>`,
      );
    const [tight, wide] = [await draw(svg('8 8 16 16'), 32), await draw(svg('-8 -8 48 48'), 32)];
    expect(tight).toHaveLength(3 * 32 * 32);
    const pixel = (image: Uint8Array, y: number, x: number) => [
      ...image.subarray(3 * (y * 32 + x), 3 * (y * 32 + x) + 3),
    ];
    for (const image of [tight, wide]) {
      expect(pixel(image, 0, 0)).toEqual([255, 255, 255]);
      expect(pixel(image, 16, 16)).toEqual([255, 0, 0]);
      expect(pixel(image, 4, 4)).toEqual([255, 0, 0]);
    }
    const grey = await sharp({ create: { width: 9, height: 4, channels: 4, background: '#80808080' } })
      .png()
      .toBuffer();
    const half = pixel(await draw(grey, 32), 16, 16);
    for (const value of half) expect(Math.abs(value - 191)).toBeLessThanOrEqual(2);
  });

  it('are augmented a little, from the same chance in the same way', () => {
    const data = new Uint8Array(3 * 32 * 32).map((_, i) => (7 * i) % 251);
    const picture = { data, height: 32, width: 32 };
    const [one, same, other] = [1, 1, 2].map((seed) => augmented(picture, new Random(seed)));
    expect(one).toEqual(same);
    expect(one).not.toEqual(other);
    const flat = augmented({ ...picture, data: new Uint8Array(data.length).fill(100) }, new Random(3));
    expect(new Set(flat).size).toBe(1);
    expect(flat[0]).toBeGreaterThanOrEqual(85);
    expect(flat[0]).toBeLessThanOrEqual(115);
  });
});

describe('a model', () => {
  const layer = (name: string, ...inputs: string[]) => ({
    name,
    class_name: 'Add',
    config: { name, trainable: false } as Record<string, unknown>,
    inbound_nodes: [inputs.map((input) => [input, 0, 0, {}] as [string, number, number, object])],
  });
  const config = {
    layers: [
      {
        name: 'in',
        class_name: 'InputLayer',
        config: { batch_input_shape: [null, 9, 9, 3] } as Record<string, unknown>,
        inbound_nodes: [],
      },
      layer('a', 'in'),
      layer('b', 'a'),
      layer('c', 'a', 'b'),
      layer('d', 'c'),
    ],
    input_layers: [['in', 0, 0]] as [string, number, number][],
    output_layers: [['d', 0, 0]] as [string, number, number][],
  };

  it('is cut at a layer, with a new input and everything trainable', () => {
    const cut = cutConfig(config, 'a', 'c', [4, 4, 8]);
    expect(cut.layers.map(({ name, class_name }) => `${name} ${class_name}`)).toEqual([
      'a InputLayer',
      'b Add',
      'c Add',
    ]);
    expect(cut.layers[0]?.config.batch_input_shape).toEqual([null, 4, 4, 8]);
    expect(cut.layers.slice(1).every(({ config: { trainable } }) => trainable === true)).toBe(true);
    expect([cut.input_layers, cut.output_layers]).toEqual([[['a', 0, 0]], [['c', 0, 0]]]);
    expect(config.layers[1]?.config.trainable).toBe(false);
    expect(cutConfig(config, null, 'b', [5, 5, 3]).layers[0]?.config.batch_input_shape).toEqual([
      null,
      5,
      5,
      3,
    ]);
  });

  it('is not cut where something else goes around', () => {
    expect(() => cutConfig(config, 'b', 'c', [1])).toThrow("'c' needs 'in', which is not behind 'b'");
    expect(() => cutConfig(config, null, 'e', [1])).toThrow("the model has no layer 'e'");
  });

  it('gives features, which are drawn by index with their classes', async () => {
    await tf.setBackend('cpu');
    const model = tf.sequential({
      layers: [tf.layers.averagePooling2d({ inputShape: [2, 2, 3], poolSize: 2 })],
    });
    const images = [0, 51, 255].map((value) => new Uint8Array(12).fill(value));
    const features = featuresOf(model, images, [2, 2, 3]);
    expect(features.shape).toEqual([1, 1, 3]);
    const { xs, ys } = new FeatureExamples(features, ['x', 'y', 'z'], [1, 0, 1], 2).batch([2, 1]);
    expect(xs.shape).toEqual([2, 1, 1, 3]);
    const values = [...(await xs.data())];
    expect(values.map((value) => Number(value.toFixed(4)))).toEqual([1, 1, 1, 0.2, 0.2, 0.2]);
    expect(await ys.array()).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });
});
