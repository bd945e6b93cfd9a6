/**
 * The CUDA device of these tests, chosen by importing this file first: a GPU where there is one, else the emulated
 * device of a second build of the addon (native/test/cuda_double), else none. Children inherit the choice.
 */
import fs from 'node:fs';
import path from 'node:path';
import loadAddon from '../../load_addon.cjs';
import type { NativeAddon } from '../../src/native.js';
import { describeOrSkip } from '../backends/skip.js';
import { root } from '../package/support.js';

const EMULATED = path.join(root, 'build-emulated', 'Release', 'tfjs_ftp.node');

/** Why there is none; null: there is one. */
function chooseDevice(): string | null {
  const { addon, error } = loadAddon();
  const { available, reason } = (addon as NativeAddon | undefined)?.cudaInfo() ?? {
    available: false,
    reason: error?.message,
  };
  if (available) return null;
  if (!fs.existsSync(EMULATED)) {
    return `no CUDA device (${reason}), and no emulated one: node scripts/setup.mjs --only emulation`;
  }
  process.env.TFJS_FTP_ADDON = EMULATED;
  return null;
}

const missing = chooseDevice();

/** A describe block for what needs a device, or a skip that says why there is none. */
export function describeOnDevice(title: string, body: () => void): void {
  describeOrSkip(title, missing, body, { mayBeMissing: true });
}
