/**
 * The CUDA device of these tests, chosen by importing this file first: a GPU where there is one, else the emulated
 * device of a second build of the addon (native/test/cuda_double), else none. Children inherit the choice.
 */
import loadAddon from '../../load_addon.cjs';
import type { NativeAddon } from '../../src/native/addon.js';
import { EMULATED_ADDON, missingEmulation } from '../backends/emulation.js';
import { describeOrSkip } from '../backends/skip.js';

/** Why there is none; null: there is one. */
function chooseDevice(): string | null {
  const { addon, error } = loadAddon();
  const { available, reason } = (addon as NativeAddon | undefined)?.cudaInfo() ?? {
    available: false,
    reason: error?.message,
  };
  if (available) return null;
  if (missingEmulation !== null) return `no CUDA device (${reason}), and ${missingEmulation}`;
  process.env.TFJS_FTP_ADDON = EMULATED_ADDON;
  return null;
}

const missing = chooseDevice();

/** A describe block for what needs a device, or a skip that says why there is none. */
export function describeOnDevice(title: string, body: () => void): void {
  describeOrSkip(title, missing, body, { mayBeMissing: true });
}
