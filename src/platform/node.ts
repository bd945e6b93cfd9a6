/** What Node has and a browser does not: package.json's `browser` field puts browser.ts in place of this file. */

import { createRequire } from 'node:module';
import path from 'node:path';
import loadAddonFile from '../../load_addon.cjs';

/** The addon, or why it is not there. */
export interface LoadedAddon {
  addon?: unknown;
  path?: string;
  /** Each path that did not work, with its reason. */
  tried: Array<{ path: string; reason: string }>;
  /** Whether an addon could be here: a missing one is then worth a warning. */
  possible: boolean;
}

/** Finds and loads the compiled addon. Never throws. */
export function loadAddon(): LoadedAddon {
  return { ...loadAddonFile(), possible: true };
}

/** Environment variables. */
export function environment(): { readonly [name: string]: string | undefined } {
  return process.env;
}

/** The exports of every file that this process has loaded by `require` and whose path matches. */
export function loadedModules(file: RegExp): unknown[] {
  const { cache } = createRequire(path.resolve('callbacks.js'));
  return Object.entries(cache)
    .filter(([name]) => file.test(name))
    .map(([, module]) => module?.exports);
}

/** Where messages for people go, a line or a part of one at a time. */
export function messageStream(): { write(text: string): unknown; isTTY?: boolean; columns?: number } {
  return process.stderr;
}
