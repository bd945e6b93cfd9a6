/**
 * The order of the ops' work with TensorFlow's from end to end. On the emulated device nothing runs before somebody waits
 * for it, so an op that does not wait leaves TensorFlow with weights that nobody has written yet.
 */
import './emulated_ops.js';
import path from 'node:path';
import { expect, it } from 'vitest';
import { EMULATED_ADDON, EMULATED_DEVICE } from '../backends/emulation.js';
import { describeImplementations } from '../backends/implementations.js';
import { root, runNode } from '../package/support.js';

interface Results {
  weights: string;
  failure: string | null;
}

/** `order`: of the addon with the emulated device; null: the usual addon. */
async function steps(order: string | undefined | null): Promise<Results> {
  const child = path.join(import.meta.dirname, 'order_child.mjs');
  const env = {
    TFJS_FTP_ADDON: order === null ? undefined : EMULATED_ADDON,
    TFJS_FTP_STREAM_ORDER: order ?? undefined,
  };
  const { code, stdout, stderr } = await runNode([child], { env });
  expect(code, stderr).toBe(0);
  const line = stdout.split('\n').find((text) => text.startsWith('results '));
  return JSON.parse(line?.slice('results '.length) ?? '{}') as Results;
}

async function doctor(order: string): Promise<string> {
  const main = path.join(root, 'dist', 'cli', 'main.js');
  const { stdout } = await runNode([main, 'doctor'], { env: { TFJS_FTP_STREAM_ORDER: order } });
  return stdout;
}

describeImplementations("the order of the ops' GPU code with TensorFlow", () => {
  it('is right where the host waits: the bits of the CPU step', async () => {
    const expected = await steps(null);
    expect(expected.failure).toBeNull();
    expect(await steps('synchronize')).toEqual(expected);
  });

  it('is missed where it is missing: the legacy stream orders nothing with a processor', async () => {
    const { weights, failure } = await steps('legacy');
    expect(failure).toBeNull();
    expect(weights).not.toBe((await steps(null)).weights);
  });

  it('falls back on waiting where the driver has no events of a whole context', async () => {
    expect(await steps('events')).toEqual(await steps(null));
  });

  it('is refused where it is unknown', async () => {
    const wrong = "TFJS_FTP_STREAM_ORDER must be legacy, synchronize or events, got 'sideways'";
    expect((await steps('sideways')).failure).toContain(wrong);
    const report = await doctor('sideways');
    expect(report).toContain(`ops not registered: ${wrong}`);
    expect(report).toContain(EMULATED_DEVICE);
    expect(report).toMatch(/tensorflow +reference/);
  });
});
