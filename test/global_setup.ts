// Runs once before all test files: says what to do where the build is missing, instead of failing file by file.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setupTensorflow } from '../scripts/tensorflow/setup_tensorflow.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

export default async function globalSetup(): Promise<void> {
  const built = ['dist/index.js', 'dist/cli/main.js', 'cjs/index.js', 'cjs/package.json'];
  const missing = built.filter((file) => !fs.existsSync(path.join(root, file)));
  if (missing.length > 0) {
    throw new Error(
      `${missing.join(', ')} missing: run \`npm run setup\` first, or the tests with \`npm test\``,
    );
  }
  if (process.env.TFJS_FTP_REQUIRE_TENSORFLOW === '1') {
    await setupTensorflow({ project: root, skipDownload: true });
  }
}
