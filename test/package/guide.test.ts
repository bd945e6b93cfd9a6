// The code in docs/guide.md runs as it stands, in order, and prints what its comments say.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { describeOrSkip, whyNoTensorflow } from '../backends/skip.js';
import { codeBlocks } from './markdown.js';
import { type Outcome, root, runNode } from './support.js';

const [imports, ...blocks] = codeBlocks('docs/guide.md', 'js');
const missing = await whyNoTensorflow();

/** Printed before what a block prints; without one more at the end, the last block has failed. */
const MARK = '--- block ';

/** Modules have to lie where `tfjs-ftp` can be resolved. */
const folder = path.join(root, '.cache', `guide-${process.pid}`);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-guide-'));
let outcome: Outcome;

/** What a block prints, by its comments. */
const promised = (code: string) => [...code.matchAll(/\/\/ -> (.*)$/gm)].map(([, text]) => text);

beforeAll(async () => {
  if (missing !== null) return;
  fs.mkdirSync(folder, { recursive: true });
  const lines = ["import 'tfjs-ftp/compat';"];
  for (const [i, { code }] of blocks.entries()) {
    fs.writeFileSync(path.join(folder, `${i}.mjs`), `${imports?.code}\n${code}\n`);
    lines.push(`console.log('${MARK}${i}');`, `await import('./${i}.mjs');`);
  }
  lines.push(`console.log('${MARK}${blocks.length}');`);
  fs.writeFileSync(path.join(folder, 'all.mjs'), lines.join('\n'));
  outcome = await runNode([path.join(folder, 'all.mjs')], { cwd: work });
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.rmSync(work, { recursive: true, force: true });
});

test('the guide has code to run, and comments that say what it prints', () => {
  expect(imports?.code).toContain("from 'tfjs-ftp'");
  expect(blocks.length).toBeGreaterThan(8);
  expect(blocks.flatMap(({ code }) => promised(code)).length).toBeGreaterThan(8);
});

describeOrSkip('the code under', missing, () => {
  it.each(blocks.map((block, i) => ({ ...block, i })))('$title (line $line)', ({ i, code }) => {
    const printed = outcome.stdout.split(`${MARK}${i}\n`)[1]?.split(`${MARK}${i + 1}\n`);
    expect(printed, outcome.stderr).toHaveLength(2);
    const lines = (printed?.[0] ?? '').split('\n').filter((text) => text !== '');
    if (promised(code).length > 0) expect(lines).toEqual(promised(code));
  });
});
