import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fillBlocks, markdownTable, writeReport } from '../../experiments/report.js';
import { runSeries } from '../../experiments/series.js';
import { RunStore } from '../../experiments/store.js';
import { PROTOCOL, toyTask } from './support.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-report-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  await tf.setBackend('cpu');
});

const BLOCKS = ['protocol', 'results', 'domains', 'less adamw', 'less ftp', 'search'];

it('writes what was run into the blocks of a page, and leaves the words around them', async () => {
  const store = new RunStore(path.join(folder, 'runs'));
  const page = path.join(folder, 'toy.md');
  fs.writeFileSync(
    page,
    BLOCKS.map((name) => `About ${name}.\n<!-- begin ${name} -->\nold\n<!-- end ${name} -->\n`).join(''),
  );
  const task = toyTask();
  await expect(writeReport(task, store, PROTOCOL, 2, folder)).rejects.toThrow('there are no runs of toy');
  const options = { methods: ['adamw', 'ftp'] as const, seeds: 2, protocol: PROTOCOL, trace: true };
  await runSeries(task, store, options, { say: () => {} });
  const files = await writeReport(task, store, PROTOCOL, 2, folder);
  expect(files.map((file) => path.basename(file)).sort()).toEqual([
    ...['toy.md', 'toy_movement.svg', 'toy_rates.svg', 'toy_trace.svg'],
  ]);
  for (const file of files.slice(0, 3))
    expect(fs.readFileSync(file, 'utf8')).toMatch(/^<svg[\s\S]*<\/svg>\n$/);
  const text = fs.readFileSync(page, 'utf8');
  expect(text).not.toContain('old');
  for (const name of BLOCKS) expect(text).toContain(`About ${name}.`);
  const block = (name: string) =>
    text.split(`<!-- begin ${name} -->`)[1]?.split(`<!-- end ${name} -->`)[0] ?? '';
  expect(block('protocol')).toContain('- left out: photographs, there is no camera');
  expect(block('results').match(/^\| (AdamW|FTP) \|/gm)).toHaveLength(2);
  expect(block('domains')).toContain('| moved | further |');
  expect(block('less adamw')).toMatch(
    /\| FTP \| \*{0,2}[+−]\d+\.\d \[[+−]\d+\.\d, [+−]\d+\.\d\] (better|worse|level)/,
  );
  expect(block('search').match(/chosen/g)).toHaveLength(2);
  expect(block('search').match(/^\| (AdamW|FTP) \|/gm)).toHaveLength(12);
});

it('refuses a page without a place for a block', () => {
  expect(() => fillBlocks('no blocks', { results: '' })).toThrow(
    "the page has no block between '<!-- begin results -->' and '<!-- end results -->'",
  );
});

it('makes tables for Markdown', () => {
  expect(markdownTable(['a', 'b'], [['x', '1']])).toBe('| a | b |\n| --- | --: |\n| x | 1 |');
});
