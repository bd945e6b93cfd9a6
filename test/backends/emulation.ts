/** The addon whose CUDA device is emulated on the host (native/test/cuda_double), for tests where there is no GPU. */
import fs from 'node:fs';
import path from 'node:path';
import { root } from '../package/support.js';

export const EMULATED_ADDON = path.join(root, 'build-emulated', 'Release', 'tfjs_ftp.node');
/** What the emulated device calls itself, so that nobody takes it for a GPU. */
export const EMULATED_DEVICE = 'host emulation (tests only)';

/** Why there is no such addon; null: there is. */
export const missingEmulation = fs.existsSync(EMULATED_ADDON)
  ? null
  : 'no addon with an emulated CUDA device: node scripts/build/setup.mjs --only emulation';
