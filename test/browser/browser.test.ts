/** The package in a browser: what a bundler makes of it, and the authors' trajectories in a real Chromium. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { build as esbuild } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { transformWithEsbuild } from 'vite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import webpack from 'webpack';
import { cases, checkGolden } from '../backends/golden_check.js';
import type { Replay, ReplayState, StartReplay } from '../backends/golden_replay.js';
import { describeOrSkip } from '../backends/skip.js';
import { root } from '../package/support.js';
import { bundle, openPage, whyNoChromium } from './chromium.js';

const ENTRY = path.join(root, 'dist', 'index.js');

describe('the bundle for browsers', () => {
  it('holds nothing of Node and stays small', async () => {
    const { output } = await bundle(ENTRY, ['@tensorflow/tfjs-core']);
    const { code, imports, moduleIds } = output[0];
    expect(imports).toEqual(['@tensorflow/tfjs-core']);
    expect(moduleIds.filter((id) => /node-gyp-build|load_addon|platform\/node/.test(id))).toEqual([]);
    expect(code).not.toMatch(/__vite-browser-external|\bprocess\.(env|stderr)\b|\bBuffer\./);
    const builtin = new RegExp(`from\\s*["'](node:)?(${builtinModules.join('|')})["']`);
    expect(code).not.toMatch(builtin);
    const { code: small } = await transformWithEsbuild(code, 'page.js', { minify: true });
    expect(gzipSync(small).length, 'bytes, minified and compressed, without tfjs').toBeLessThan(MOST_BYTES);
  });
});

describe('other bundlers', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-bundle-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  // The modules that Node has are the bundler's to find: neither knows them for a browser, so a leftover would fail the build.
  const clean = (code: string) => {
    expect(code).toContain('a browser cannot load native code');
    expect(code).not.toMatch(/node-gyp-build|\bprocess\.(env|stderr)\b|["']node:/);
  };

  it.each(['dist', 'cjs'])('esbuild makes a bundle of %s without anything of Node', async (kind) => {
    const { outputFiles } = await esbuild({
      entryPoints: [path.join(root, kind, 'index.js')],
      bundle: true,
      write: false,
      format: 'esm',
      external: ['@tensorflow/*'],
      logLevel: 'silent',
    });
    clean(outputFiles[0]?.text ?? '');
  });

  it.each(['dist', 'cjs'])('webpack makes a bundle of %s without anything of Node', async (kind) => {
    const compiler = webpack({
      mode: 'none',
      target: 'web',
      entry: path.join(root, kind, 'index.js'),
      externals: [/^@tensorflow\//],
      externalsType: 'var',
      output: { path: folder, filename: `${kind}.js` },
    });
    const problems = await new Promise<string>((resolve, reject) =>
      compiler?.run((error, stats) =>
        error ? reject(error) : resolve(stats?.toString('errors-only') ?? 'nothing'),
      ),
    );
    expect(problems).toBe('');
    clean(readFileSync(path.join(folder, `${kind}.js`), 'utf8'));
  });
});

/** What README states, and some room. */
const MOST_BYTES = 55_000;

/** A replay whose optimizer lives in the page. */
function startInPage(page: Page): StartReplay {
  const lists = (array: Float32Array) => Array.from(array);
  return async (groups) => {
    const plain = groups.map((group) => ({
      ...group,
      variables: group.variables.map((variable) => ({
        ...variable,
        init: lists(variable.init),
        anchor: lists(variable.anchor),
      })),
    }));
    await page.evaluate((given) => globalThis.subject.start(given as never), plain);
    const unused = () => {
      throw new Error('not used by golden cases');
    };
    return {
      step: (rates, gradients) => {
        const given = [...gradients].map(([name, values]) => [name, values && lists(values)] as const);
        return page.evaluate(([a, b]) => globalThis.subject.step(a as number[], b as never), [
          rates,
          given,
        ] as const);
      },
      read: async () => {
        const entries = (await page.evaluate(() => globalThis.subject.read())) as Array<[string, never]>;
        return new Map(entries.map(([name, state]) => [name, stateOf(state)]));
      },
      assign: unused,
      reanchor: unused,
      dispose: () => {}, // the next one does it
    } satisfies Replay;
  };
}

function stateOf(state: {
  weights: number[];
  constraint: (Omit<NonNullable<ReplayState['constraint']>, 'norms'> & { norms: number[] }) | null;
  slots: Array<[string, number[]]>;
  steps: [number, number] | null;
}): ReplayState {
  const { weights, constraint, slots, steps } = state;
  return {
    weights: Float32Array.from(weights),
    constraint: constraint && { ...constraint, norms: Float32Array.from(constraint.norms) },
    slots: Object.fromEntries(slots.map(([slot, values]) => [slot, Float32Array.from(values)])),
    steps,
  };
}

describeOrSkip('in Chromium', whyNoChromium, () => {
  let browser: Browser;
  let page: Page;
  let problems: string[];
  beforeAll(async () => {
    ({ browser, page, problems } = await openPage());
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
    expect(problems).toEqual([]);
  });

  for (const backend of ['cpu', 'wasm', 'webgl', 'webgpu']) {
    describe(backend, () => {
      let missing: string | null = null;
      beforeAll(async () => {
        if (backend === 'webgpu') missing = await page.evaluate(() => globalThis.subject.whyNoWebGpu());
        if (missing !== null) return;
        expect(await page.evaluate((name) => globalThis.subject.useBackend(name), backend)).toBe(backend);
      });

      beforeEach(({ skip }) => {
        if (missing !== null) skip(missing);
      });

      it('fits a model with a callback, in tfjs operations, and leaves no tensor behind', async () => {
        const { losses, implementation, reason, tensors } = await page.evaluate(() =>
          globalThis.subject.fit(),
        );
        expect(implementation).toBe('reference');
        expect(reason).toContain(backend.startsWith('webg') ? `tfjs backend is '${backend}'` : 'browser');
        expect(losses.at(-1)).toBeLessThan(losses[0] as number);
        expect(tensors).toBe(0);
      });

      // A part of the cases, for the time that it takes: every read of a tensor waits for the software renderer.
      const every = process.env.TFJS_FTP_BROWSER_CASES === 'all' ? 1 : backend.startsWith('webg') ? 8 : 3;
      const chosen = cases.filter((_, i) => i % every === 0);
      it.each(chosen.map((golden) => [golden.name, golden] as const))(
        '%s',
        async (_, golden) =>
          void (await checkGolden(`chromium ${backend}`, golden, 'keras', startInPage(page))),
      );
    });
  }
});
