import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// One test file at a time in a process of its own: libtensorflow cannot be unloaded, op registration is once a
// process, and the native step uses all cores.
export default defineConfig({
  // experiments/ is a workspace, from which the package's own name does not lead to it.
  resolve: {
    alias: [{ find: /^tfjs-ftp$/, replacement: fileURLToPath(new URL('dist/index.js', import.meta.url)) }],
  },
  test: {
    // `npm test` is `main`; `npm run test:native` is CTest's part, `npm run test:release` packs, installs and cross-builds.
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['test/**/*.test.ts'],
          exclude: ['test/native/**', 'test/release/**'],
        },
      },
      { extends: true, test: { name: 'native', include: ['test/native/**/*.test.ts'] } },
      { extends: true, test: { name: 'release', include: ['test/release/**/*.test.ts'] } },
    ],
    globalSetup: ['test/global_setup.ts'],
    setupFiles: ['./compat.cjs'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    env: { TF_CPP_MIN_LOG_LEVEL: '2' },
    reporters: ['default', './test/count_reporter.ts'],
  },
});
