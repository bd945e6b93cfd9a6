/** The report: what its page holds, and that a browser draws it without asking anything of a network. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FtpOptimizer, ftp, l2sp } from '../../src/index.js';
import { type ReportOptions, report, reportHtml } from '../../src/report/index.js';
import { describeOrSkip } from '../backends/skip.js';
import { launchChromium, whyNoChromium } from '../browser/chromium.js';
import { root, runNode } from '../package/support.js';

let folder: string;

beforeAll(async () => {
  await tf.setBackend('cpu');
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'tfjs-ftp-report-'));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));
afterEach(() => tf.disposeVariables());

/** An optimizer that has trained a small model for some epochs, and what `fit` returned. */
async function trained(
  make: (model: layers.LayersModel) => FtpOptimizer,
): Promise<{ optimizer: FtpOptimizer; history: layers.History }> {
  const dense = (units: number, name: string, more: object) => layers.layers.dense({ units, name, ...more });
  const model = layers.sequential({
    layers: [dense(6, 'body', { inputShape: [5], biasInitializer: 'ones' }), dense(3, 'head', {})],
  });
  const optimizer = make(model);
  model.compile({ optimizer, loss: 'meanSquaredError', metrics: ['accuracy'] });
  const xs = tf.randomNormal([32, 5], 0, 1, 'float32', 1);
  const ys = tf.randomNormal([32, 3], 0, 1, 'float32', 2);
  const history = await model.fit(xs, ys, { epochs: 4, batchSize: 8, verbose: 0, shuffle: false });
  tf.dispose([xs, ys]);
  return { optimizer, history };
}

const learning = () =>
  trained((model) => ftp.adamw(0.01, { model, exclude: ['head/'], learn: { learningRate: true } }));

describe('report', () => {
  it('writes one file, which tells of every variable and is there in full or not at all', async () => {
    const { optimizer, history } = await learning();
    const tensors = tf.memory().numTensors;
    const file = path.join(folder, 'full.html');
    await fs.writeFile(file, 'what was there before');
    await report(optimizer, file, { history });
    const html = await fs.readFile(file, 'utf8');
    for (const name of ['body/kernel', 'head/bias', 'val', 'atBoundary', 'FtpAdamWOptimizer', 'reference']) {
      expect(html).toContain(name);
    }
    expect(html.trimEnd().endsWith('</html>')).toBe(true);
    expect(html.length).toBeLessThan(1_000_000);
    expect(tf.memory().numTensors).toBe(tensors);

    // A folder cannot be replaced by a file; what was begun is gone.
    const taken = path.join(folder, 'taken');
    await fs.mkdir(taken);
    await expect(report(optimizer, taken)).rejects.toMatchObject({ code: 'REPORT_FAILED' });
    await expect(report(optimizer, path.join(folder, 'no', 'r.html'))).rejects.toThrow(
      /cannot write the report to/,
    );
    expect((await fs.readdir(folder)).sort()).toEqual(['full.html', 'taken']);
    optimizer.dispose();
  });

  it('shows what others call a variable as text, whatever stands in it', async () => {
    const name = '</script><img src=x onerror=alert(1)>';
    const variable = tf.variable(tf.ones([3, 2]), true, name);
    const optimizer = ftp.sgd(0.1);
    optimizer.applyGradients({ [name]: tf.ones([3, 2]) });
    const html = await reportHtml(optimizer, { title: 'a <b> & "c"' });
    expect(html).not.toContain('<img');
    expect(html).toContain('<title>a &lt;b&gt; &amp; &quot;c&quot;</title>');
    expect(html.match(/<script/g)?.length).toBe(html.match(/<\/script>/g)?.length);
    optimizer.dispose();
    variable.dispose();
  });

  it.each([
    [undefined, 'r.html', {}, TypeError, 'optimizer must be an optimizer of tfjs-ftp, got undefined'],
    [() => tf.train.adam(1), 'r.html', {}, TypeError, 'got an AdamOptimizer'],
    [ftp.sgd, 3, {}, TypeError, 'file must be the name of a file, got 3'],
    [ftp.sgd, '', {}, RangeError, "file must be the name of a file, got ''"],
    [ftp.sgd, 'r.html', { titel: 'x' }, TypeError, "no option 'titel'"],
    [ftp.sgd, 'r.html', { title: 1 }, TypeError, 'title must be a string, got 1'],
    [ftp.sgd, 'r.html', { history: [1] }, TypeError, 'an object of arrays of numbers, got an array'],
    [ftp.sgd, 'r.html', { history: {} }, RangeError, 'history must have a series'],
    [ftp.sgd, 'r.html', { history: { loss: 'low' } }, TypeError, 'history.loss must be an array of numbers'],
    [ftp.sgd, 'r.html', { history: { loss: [1, '2'] } }, TypeError, "got '2' in it"],
    [
      ftp.sgd,
      'r.html',
      { history: { a: [1, 2], b: [1] } },
      RangeError,
      'history.b must have 2 values like history.a',
    ],
  ])('refuses wrong arguments (%#)', async (make, file, options, type, message) => {
    const optimizer = (make as ((rate: number) => FtpOptimizer) | undefined)?.(0.1);
    const written = report(optimizer as never, file as never, options as ReportOptions);
    const error: unknown = await written.catch((reason) => reason);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain(message);
    optimizer?.dispose();
  });

  it('says what to install where Vega is not', async () => {
    const script = path.join(folder, 'alone.mjs');
    const entry = pathToFileURL(path.join(root, 'dist', 'report', 'index.js')).href;
    const optimizer = '{ constraints: async () => [] }';
    await fs.writeFile(
      script,
      `import { report } from '${entry}';\nawait report(${optimizer}, 'r.html').catch(({ code, message }) => console.log(code, message));`,
    );
    const { stdout } = await runNode([script], { cwd: folder });
    expect(stdout).toMatch(/^VEGA_NOT_FOUND .*run: npm install --save-dev vega vega-lite$/m);
    await fs.rm(script);
  });
});

describeOrSkip('the page in Chromium', whyNoChromium, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  /** Opens a report from its file; what it asked for, what went wrong, how many marks each chart has. */
  async function open(optimizer: FtpOptimizer, options: ReportOptions) {
    const file = path.join(folder, 'page.html');
    await report(optimizer, file, options);
    const page = await browser.newPage();
    const [requests, problems]: [string[], string[]] = [[], []];
    page.on('request', (request) => requests.push(request.url()));
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text());
    });
    const { href } = pathToFileURL(file);
    await page.goto(href);
    // As text: these tests know no types of pages.
    await page.waitForFunction(
      "[...document.querySelectorAll('figure')].every((figure) => figure.querySelector('[data-drawn], .problem'))",
    );
    expect(await page.locator('.problem:visible').allTextContents()).toEqual([]);
    const charts = await page.$$eval('figure', (figures) =>
      figures.map((figure) => ({
        title: figure.previousElementSibling?.textContent,
        bars: figure.querySelectorAll('.mark-rect.role-mark path').length,
        lines: figure.querySelectorAll('.mark-line.role-mark path').length,
        text: figure.querySelector('svg')?.textContent ?? '',
        width: figure.querySelector('svg')?.getBoundingClientRect().width ?? 0,
      })),
    );
    const rows = await page.$$eval('table', (tables) => tables.map((table) => table.tBodies[0]?.rows.length));
    await page.close();
    expect(problems).toEqual([]);
    expect(requests).toEqual([href]);
    return { charts, rows };
  }

  it('draws every chart that there is something for', async () => {
    const { optimizer, history } = await learning();
    const rate = { ...history.history, learningRate: [0.1, 0.01, Number.NaN, 0.001] };
    const { charts, rows } = await open(optimizer, { history: { history: rate, epoch: history.epoch } });
    expect(charts.map(({ title }) => title)).toEqual([
      'Distance from the anchor',
      'The same as a fraction of the anchor',
      'Rows at the boundary',
      'Learned numbers',
      'Loss',
      'Metrics',
      'Learning rate',
    ]);
    // A bar and a tick for each of the two variables that are held.
    expect(charts.map(({ bars }) => bars)).toEqual([4, 4, 4, 0, 0, 0, 0]);
    expect(charts[0]?.text).toContain('body/kernel');
    expect(charts[0]?.text).not.toContain('head');
    expect(charts.map(({ lines }) => lines)).toEqual([0, 0, 0, 0, 1, 1, 1]);
    for (const { width } of charts) expect(width).toBeGreaterThan(400);
    expect(rows).toEqual([4, 1]);
    optimizer.dispose();
  });

  it('leaves out what a method does not have', async () => {
    const { optimizer } = await trained((model) => l2sp.sgd(0.1, { model, strength: 0.1 }));
    const { charts, rows } = await open(optimizer, {});
    expect(charts).toEqual([]);
    expect(rows).toEqual([4]);
    optimizer.dispose();
  });
});
