/** What load_addon.cjs returns: the addon and its path, or the last error; and each path that did not work. */
interface LoadedAddon {
  addon?: unknown;
  path?: string;
  error?: Error;
  tried: Array<{ path: string; reason: string }>;
}

declare function loadAddon(root?: string): LoadedAddon;
export = loadAddon;
