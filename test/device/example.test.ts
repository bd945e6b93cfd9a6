/** examples/fused_cuda.mjs runs with a device and without one. */
import { expect, it } from 'vitest';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { runNode } from '../package/support.js';
import { describeOnDevice } from './device.js';

async function runExample(env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await runNode(['examples/fused_cuda.mjs'], { env });
  expect(code, stderr).toBe(0);
  const losses = [...stdout.matchAll(/^step (\d+): loss (\S+)$/gm)].map(([, , loss]) => Number(loss));
  expect(losses).toHaveLength(6);
  expect(losses[5]).toBeLessThan((losses[0] as number) / 100);
  expect(stdout).toMatch(/│ kernel +│ \d/);
  return { stdout, losses };
}

describeOrSkip('the example', whyNoAddon(), () => {
  it('trains on the processor where there is no device, and says why', async () => {
    const { stdout } = await runExample({ TFJS_FTP_ADDON: '', CUDA_VISIBLE_DEVICES: '' });
    expect(stdout).toMatch(/^on the processor, since \w.+/);
  });
});

describeOnDevice('the example', () => {
  it('trains on a device, with the same losses', async () => {
    const { stdout, losses } = await runExample();
    expect(stdout).toMatch(/^on CUDA device 0, \w.+/);
    const { losses: expected } = await runExample({ TFJS_FTP_ADDON: '', CUDA_VISIBLE_DEVICES: '' });
    for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(expected[i] as number, 4);
  });
});
