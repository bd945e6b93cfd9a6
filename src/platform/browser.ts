/** node.ts for browsers: no addon, no environment, no modules to look through. */

import type { LoadedAddon } from './node.js';

export function loadAddon(): LoadedAddon {
  return { tried: [{ path: 'browser', reason: 'a browser cannot load native code' }], possible: false };
}

export function environment(): { readonly [name: string]: string | undefined } {
  return {};
}

export function loadedModules(): unknown[] {
  return [];
}

/** Writes to the console, which ends each line itself. */
export function messageStream(): { write(text: string): unknown } {
  return { write: (text) => console.info(text.replace(/\n$/, '')) };
}
