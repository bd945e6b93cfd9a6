/** Suites for what may be missing on this machine: a skip that says why, or a failure where it is required. */
import { describe, it } from 'vitest';
import { findNative } from '../../src/native/addon.js';

const required = process.env.TFJS_FTP_REQUIRE_TENSORFLOW === '1';

/** Why the addon cannot be loaded; null: it can. */
export function whyNoAddon(): string | null {
  const { addon, tried } = findNative();
  return addon
    ? null
    : `the addon does not load (${tried.map(({ reason }) => firstLine(reason)).join('; ')})`;
}

/** Why tfjs-node cannot be loaded; null: it can, and it is now. */
export async function whyNoTensorflow(): Promise<string | null> {
  try {
    await import('@tensorflow/tfjs-node');
    return null;
  } catch (error) {
    return `@tensorflow/tfjs-node does not load: ${firstLine(error)}`;
  }
}

export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;
}

/** A describe block, a skip that says why, or with TFJS_FTP_REQUIRE_TENSORFLOW=1 a failure that says why. */
export function describeOrSkip(
  title: string,
  missing: string | null,
  body: () => void,
  { mayBeMissing = false } = {},
): void {
  if (missing === null) {
    describe(title, body);
  } else if (required && !mayBeMissing) {
    describe(title, () => {
      it('is available', () => {
        throw new Error(`TFJS_FTP_REQUIRE_TENSORFLOW=1, but ${missing}`);
      });
    });
  } else {
    describe.skip(`${title} (skipped: ${missing})`, body);
  }
}
