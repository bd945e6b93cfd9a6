/** How the page is served and built; scripts/build/demo_web.mjs does that. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { glyphSheet } from './glyph_sheet.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [glyphSheet()],
  // The package comes as it is published.
  resolve: {
    alias: [
      { find: /^tfjs-ftp$/, replacement: path.join(root, 'dist', 'index.js') },
      { find: /^tfjs-ftp\/(.*)$/, replacement: path.join(root, 'dist', '$1', 'index.js') },
    ],
  },
  worker: { format: 'es' },
  build: {
    outDir: path.join(root, 'docs', 'demo'),
    emptyOutDir: true,
    target: 'es2022',
    // The worker holds tfjs.
    chunkSizeWarningLimit: 2000,
  },
  server: { fs: { allow: [root] } },
});
