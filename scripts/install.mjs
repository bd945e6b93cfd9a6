// Install script of the published package: a prebuilt addon that loads is all it wants; else it tries to build one;
// else it says that the reference implementation will be used. It never fails an installation.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { tail } from './lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool, nodeGypRebuild } from './lib/node_gyp.mjs';
import { reporter } from './lib/report.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const say = reporter('tfjs-ftp');

function notice(reason, advice) {
  say(`no native addon: ${reason}`);
  say('The reference implementation (tfjs ops) will be used: same numbers, slower steps.');
  for (const line of advice.split('\n')) say(line);
  say('Then: npm rebuild tfjs-ftp. `npx tfjs-ftp doctor` shows what is in use.');
}

async function main() {
  const loadAddon = createRequire(import.meta.url)('../load_addon.cjs');
  if (loadAddon(root).addon) return;
  const missing = await missingBuildTool();
  if (missing) {
    notice(
      `there is no prebuilt one for ${process.platform}-${process.arch}, and ${missing} was not found`,
      BUILD_TOOLS_ADVICE,
    );
    return;
  }
  say(`building the native addon (no prebuilt one for ${process.platform}-${process.arch})`);
  const { code, output, stopped } = await nodeGypRebuild(root);
  if (code !== 0) {
    notice(`building it failed${stopped ? `: ${stopped}` : ''}\n${tail(output)}`, BUILD_TOOLS_ADVICE);
    return;
  }
  const result = loadAddon(root);
  if (result.addon) say(`built ${result.path}`);
  else notice(`the one that was built does not load: ${result.error.message}`, 'Please report this.');
}

main().catch((error) => notice(error.message, error.advice ?? BUILD_TOOLS_ADVICE));
