/** The demo's page, clicked through in a real Chromium: trains both nets on the demo's images and on a visitor's. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeOrSkip } from '../backends/skip.js';
import { root, runNode } from '../package/support.js';
import { launchChromium, whyNoChromium } from './chromium.js';

/** Kept from one run of the tests to the next, and built anew where a source has changed. */
const BUILT = path.join(root, '.cache', 'demo-web');

const TYPES: { [extension: string]: string } = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
  '.bin': 'application/octet-stream',
};

/** Places on a pad as shares of its sides. */
type Stroke = Array<[x: number, y: number]>;

async function draw(page: Page, pad: Locator, stroke: Stroke): Promise<void> {
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (box === null) throw new Error('the pad cannot be seen');
  for (const [i, [x, y]] of stroke.entries()) {
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 3 });
    if (i === 0) await page.mouse.down();
  }
  await page.mouse.up();
}

describeOrSkip('the page of the demo in Chromium', whyNoChromium, () => {
  let browser: Browser;
  let page: Page;
  const foreign: string[] = [];
  const problems: string[] = [];

  beforeAll(async () => {
    const { code, stderr } = await runNode(['scripts/build/demo_web.mjs', 'build', '--out', BUILT]);
    expect(code, stderr).toBe(0);
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 1080, height: 900 } });
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text());
    });
    // Nothing else answers: the page has what it needs.
    await page.route('**/*', async (route) => {
      const { origin, pathname } = new URL(route.request().url());
      const file = path.join(BUILT, pathname === '/' ? 'index.html' : pathname);
      const body = origin === 'http://localhost' ? await readFile(file).catch(() => null) : null;
      if (body === null) {
        foreign.push(route.request().url());
        return route.abort();
      }
      return route.fulfill({ contentType: TYPES[path.extname(file)] ?? '', body });
    });
    await page.goto('http://localhost/');
    await page.getByLabel('Runs on').selectOption('wasm');
  }, 400_000);

  afterAll(async () => {
    await browser?.close();
    expect(foreign).toEqual([]);
    expect(problems).toEqual([]);
  });

  const status = () => page.getByRole('status');
  const set = (label: string, value: number) => page.getByLabel(label, { exact: true }).fill(String(value));
  const start = () => page.getByRole('button', { name: 'Start' }).click();
  const done = () =>
    status()
      .filter({ hasText: /^Done\. A step took/ })
      .waitFor();
  /** What a chart tells a screen reader: the last value of each line. */
  const lastValues = async (id: string) => {
    const label = await page.locator(`#${id} canvas`).getAttribute('aria-label');
    return new Map(
      [...(label ?? '').matchAll(/([^.;:]+): ([\d.e+-]+)/g)].map(([, name, value]) => [
        name?.trim(),
        Number(value),
      ]),
    );
  };

  it('has a name for everything that can be used', async () => {
    const unnamed = await page.locator('input, select, button, canvas, textarea').evaluateAll((elements) =>
      elements
        .filter((element) => !(element as never as { labels?: { length: number } }).labels?.length)
        .map((element) => [element.id, element.textContent?.trim(), element.getAttribute('aria-label')])
        .filter(([, text, label]) => !text && !label),
    );
    // Canvas elements have no labels of their own.
    expect(unnamed.map(([id]) => id)).toEqual(['own-pad', 'try-pad']);
    expect(await page.locator('label[for=own-pad], label[for=try-pad]').count()).toBe(2);
  });

  it('trains both nets on serial codes while the page answers, and shows how they differ', async () => {
    await set('Steps', 3);
    await set('Images a step', 8);
    await set('Test every … steps', 3);
    await page.evaluate('window.ticks = 0; setInterval(() => (window.ticks += 1), 20)');
    await start();
    await done();
    expect(await page.evaluate('window.ticks')).toBeGreaterThan(20);

    const loss = await lastValues('chart-loss');
    for (const name of ['AdamW', 'FTP']) expect(loss.get(name)).toBeGreaterThan(0);
    const distance = await lastValues('chart-distance');
    for (const layer of ['block1', 'block2', 'block3']) {
      expect(distance.get(`FTP ${layer}`)).toBeGreaterThan(0);
      expect(distance.get(`FTP ${layer}`)).toBeLessThan(distance.get(`AdamW ${layer}`) as number);
    }
    const table = await page
      .locator('#results tr')
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent as string)));
    expect(table[0]?.slice(1)).toEqual(
      'like those trained on,serif,mono,handwriting,display,recoloured,textured,corrupted,mean of the shifted'.split(
        ',',
      ),
    );
    expect(table.slice(1).map(([name]) => name)).toEqual(['AdamW', 'FTP']);
    for (const cell of table.slice(1).flatMap(([, ...cells]) => cells)) expect(cell).toMatch(/^\d+\.\d$/);
  });

  it('says what both nets take a drawing for', async () => {
    await draw(page, page.locator('#try-pad'), [
      [0.25, 0.2],
      [0.75, 0.2],
      [0.45, 0.8],
    ]);
    for (const id of ['guess-adamw', 'guess-ftp']) {
      const guesses = page.locator(`#${id} li`);
      await guesses.nth(2).waitFor();
      expect(await guesses.allTextContents()).toEqual(
        Array(3).fill(expect.stringMatching(/^[0-9A-Z] \(\d+%\)$/)),
      );
    }
  });

  it('learns what a visitor draws and picks, and says what is missing', async () => {
    await page.getByLabel('Images of your own').check();
    await start();
    expect(await status().textContent()).toBe('Two classes are needed; there is none.');
    const pad = page.locator('#own-pad');
    const add = page.getByRole('button', { name: 'Add the drawing' });
    await add.click();
    expect(await status().textContent()).toBe('Name the class first.');
    await page.getByLabel('Class', { exact: true }).fill('stroke');
    await add.click();
    expect(await status().textContent()).toBe('There is nothing drawn yet.');
    for (let i = 0; i < 4; ++i) {
      await draw(page, pad, [
        [0.2, 0.2 + 0.1 * i],
        [0.8, 0.8],
      ]);
      await add.click();
    }
    await page.getByLabel('Class', { exact: true }).fill('dark');
    const dark = await sharp({ create: { width: 50, height: 40, channels: 3, background: '#333' } })
      .png()
      .toBuffer();
    const files = [1, 2, 3].map((i) => ({ name: `${i}.png`, mimeType: 'image/png', buffer: dark }));
    const text = { name: 'notes.png', mimeType: 'image/png', buffer: Buffer.from('no image') };
    await page.getByLabel('Image files of this class').setInputFiles([...files, text]);
    await status().filter({ hasText: 'Added 3 images to “dark”. No image: notes.png.' }).waitFor();
    await start();
    expect(await status().textContent()).toBe('The class “dark” needs at least 4 images; it has 3.');
    await page.getByLabel('Image files of this class').setInputFiles(files.slice(0, 1));
    await page.getByRole('listitem').filter({ hasText: 'dark (4)' }).waitFor();

    await set('Steps', 5);
    await start();
    await done();
    const columns = await page.locator('#results thead th').allTextContents();
    expect(columns).toEqual(['like those trained on', 'corrupted', 'mean of the shifted']);
    await page.locator('#guess-ftp li').nth(1).waitFor();
    expect((await page.locator('#guess-ftp li').allTextContents()).join()).toMatch(/stroke \(\d+%\)/);
  });

  it('stops when it is told to, and tests what it has', async () => {
    await set('Steps', 2000);
    await start();
    await status()
      .filter({ hasText: /^Training on wasm/ })
      .waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await done();
    expect(await page.getByRole('button', { name: 'Stop' }).isDisabled()).toBe(true);
    expect(await page.locator('#progress-ftp').getAttribute('value')).not.toBe('1');
  });
});
