/** A real Chromium with the page of page.ts in it, bundled as a user's bundler would. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { build, type Rollup } from 'vite';

const root = path.resolve(import.meta.dirname, '..', '..');
const WASM = path.join(root, 'node_modules', '@tensorflow', 'tfjs-backend-wasm', 'dist');

/** Debian's and others' places of Chromium; `TFJS_FTP_CHROMIUM` names another. */
const CANDIDATES = [
  process.env.TFJS_FTP_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
export const chromiumPath = CANDIDATES.find((file) => file !== undefined && existsSync(file));

/** Why pages cannot be opened; null: they can. */
export const whyNoChromium =
  chromiumPath === undefined ? 'there is no Chromium (apt-get install chromium)' : null;

/** Bundles an entry for browsers; the package comes through package.json, as it does for a user. */
export async function bundle(entry: string, external: string[] = []): Promise<Rollup.RollupOutput> {
  const result = await build({
    configFile: false,
    root: import.meta.dirname,
    logLevel: 'error',
    resolve: {
      alias: [
        // Tests import the sources; the page gets what is published.
        { find: /^(\.\.\/)+src\/index\.js$/, replacement: path.join(root, 'dist', 'index.js') },
        { find: /^tfjs-ftp$/, replacement: path.join(root, 'dist', 'index.js') },
      ],
    },
    build: {
      write: false,
      minify: false,
      target: 'es2022',
      lib: { entry, formats: ['es'], fileName: 'page' },
      rollupOptions: { external },
    },
  });
  return (Array.isArray(result) ? result[0] : result) as Rollup.RollupOutput;
}

const TYPES: { [extension: string]: string } = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Starts the Chromium that is installed; graphics are drawn by its software renderer. */
export async function launchChromium(): Promise<Browser> {
  const { chromium } = await import('playwright-core');
  return chromium.launch({
    executablePath: chromiumPath as string,
    args: [
      '--no-sandbox',
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
      '--enable-unsafe-webgpu',
    ],
  });
}

/** Starts Chromium and opens the page. Nothing goes over a network: every request is answered from here. */
export async function openPage(): Promise<{ browser: Browser; page: Page; problems: string[] }> {
  const { output } = await bundle(path.join(import.meta.dirname, 'page.ts'));
  const script = output[0].code;
  const browser = await launchChromium();
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.route('**/*', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === '/') {
      const body = '<!doctype html><script type="module" src="/page.js"></script>';
      return route.fulfill({ contentType: 'text/html', body });
    }
    if (pathname === '/page.js') return route.fulfill({ contentType: 'text/javascript', body: script });
    const file = path.join(WASM, path.basename(pathname));
    if (pathname.startsWith('/wasm/') && existsSync(file)) {
      return route.fulfill({ contentType: TYPES[path.extname(file)] ?? '', body: readFileSync(file) });
    }
    return route.fulfill({ status: 404 });
  });
  await page.goto('http://localhost/');
  await page.waitForFunction(() => globalThis.subject !== undefined);
  return { browser, page, problems };
}
