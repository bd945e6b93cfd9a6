// examples/graph_model.mjs runs as it stands, on a folder of images.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, it } from 'vitest';
import { describeOrSkip, whyNoTensorflow } from '../backends/skip.js';
import { root, runNode } from '../package/support.js';

const installed = fs.existsSync(path.join(root, 'node_modules', '@vladmandic', 'human', 'package.json'));
const missing = installed ? await whyNoTensorflow() : '@vladmandic/human is not installed';
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-graph-model-'));

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const SHAPES: Record<string, string> = {
  disc: '<circle cx="30" cy="34" r="14"/>',
  bar: '<rect x="15" y="26" width="34" height="8"/>',
};

describeOrSkip(
  'examples/graph_model.mjs',
  missing,
  () => {
    it('trains on a folder of images, and saves a GraphModel', async () => {
      for (const [name, shape] of Object.entries(SHAPES)) {
        fs.mkdirSync(path.join(folder, 'images', name), { recursive: true });
        for (let i = 0; i < 4; ++i) {
          const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="white"/>
            <g transform="translate(${2 * i},${-i})">${shape}</g></svg>`;
          await sharp(Buffer.from(svg))
            .png()
            .toFile(path.join(folder, 'images', name, `${i}.png`));
        }
      }
      fs.mkdirSync(path.join(folder, 'demo-output'));
      fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
      const args = [path.join(root, 'examples', 'graph_model.mjs'), path.join(folder, 'images'), '20'];
      const { code, stdout, stderr } = await runNode(args, { cwd: folder });
      expect(code, stderr).toBe(0);
      const losses = [...stdout.matchAll(/^step \d+: loss (.*)$/gm)].map(([, loss]) => Number(loss));
      expect(losses).toHaveLength(2);
      expect(losses[1]).toBeLessThan(Math.LN2 / 2); // from a head of zeros: half of what guessing costs
      expect(stdout).toContain('Conv2D_weights');
      const saved = path.join(folder, 'demo-output', 'fine-tuned-graph', 'model.json');
      expect(JSON.parse(fs.readFileSync(saved, 'utf8')).format).toBe('graph-model');
    }, 120_000);
  },
  { mayBeMissing: !installed },
);
