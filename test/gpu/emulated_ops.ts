/**
 * Imported first by a test file, it makes the suites that are imported behind it run under TensorFlow alone, with an addon
 * whose ops have their GPU code as CPU kernels, on a CUDA device that is emulated on the host (native/test/cuda_double):
 * everything that runs under tfjs-node-gpu but the GPU and TensorFlow's own device code.
 */
import { expect, it } from 'vitest';
import { findNative } from '../../src/native/addon.js';
import { EMULATED_ADDON, EMULATED_DEVICE, missingEmulation } from '../backends/emulation.js';
import { describeOrSkip } from '../backends/skip.js';

if (missingEmulation === null) {
  process.env.TFJS_FTP_ADDON = EMULATED_ADDON;
  // TensorFlow reads its CPU tensors itself, on no stream: the host has to have waited.
  process.env.TFJS_FTP_STREAM_ORDER = 'synchronize';
  process.env.TFJS_FTP_TEST_ONLY = 'native on tensorflow';
} else {
  process.env.TFJS_FTP_TEST_ONLY = 'nothing';
}

describeOrSkip(
  "the ops' GPU code on an emulated device",
  missingEmulation,
  () => {
    it('is what runs here, and calls itself so', () => {
      const { addon, path: file } = findNative();
      expect(file).toBe(EMULATED_ADDON);
      expect(addon?.cudaInfo()).toMatchObject({ available: true, devices: [{ name: EMULATED_DEVICE }] });
    });
  },
  { mayBeMissing: true },
);
