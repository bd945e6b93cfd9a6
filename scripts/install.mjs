// Install script of the published package: a prebuilt addon that loads is all it wants; else it tries to build one;
// with CUDA kernels where nvcc is found; else it says that the reference implementation will be used. It never fails an
// installation.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { tail } from './lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool, nodeGypRebuild } from './lib/node_gyp.mjs';
import { chooseCuda } from './lib/nvcc.mjs';
import { reporter } from './lib/report.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const loadAddon = createRequire(import.meta.url)('../load_addon.cjs');
const say = reporter('tfjs-ftp');
const platform = `${process.platform}-${process.arch}`;

/** npm's setting build_from_source is `true` or `tfjs-ftp`: a build on this machine even where a prebuild loads. */
function buildAsked() {
  return ['true', 'tfjs-ftp'].includes(process.env.npm_config_build_from_source);
}

function notice(reason, advice) {
  const { path: other } = loadAddon(root);
  say(`${other ? 'not built' : 'no native addon'}: ${reason}`);
  const reference = 'The reference implementation (tfjs ops) will be used: same numbers, slower steps.';
  say(other ? `The prebuilt one will be used: ${other}` : reference);
  for (const line of advice.split('\n')) say(line);
  say('Then: npm rebuild tfjs-ftp. `npx tfjs-ftp doctor` shows what is in use.');
}

/** Builds with CUDA kernels if they can be had; a build that fails with them is tried without, unless TFJS_FTP_CUDA=ON. */
async function build() {
  const { toolkit, reason } = chooseCuda(process.env);
  const without = `without CUDA kernels: ${reason}. A GPU will not be used; everything else works.`;
  say(toolkit ? `with CUDA kernels (CUDA ${toolkit.version}): takes some minutes` : without);
  const result = await nodeGypRebuild(root);
  if (result.code === 0 || result.stopped || toolkit === null || process.env.TFJS_FTP_CUDA === 'ON') {
    return result;
  }
  say(`building it with CUDA kernels failed, once more without them\n${tail(result.output)}`);
  return nodeGypRebuild(root, { env: { ...process.env, TFJS_FTP_CUDA: 'OFF' } });
}

async function main() {
  if (!buildAsked() && loadAddon(root).addon) return;
  const missing = await missingBuildTool();
  if (missing) {
    notice(
      `${buildAsked() ? 'it is to be built' : `there is no prebuilt one for ${platform}`}, and ${missing} was not found`,
      BUILD_TOOLS_ADVICE,
    );
    return;
  }
  say(`building the native addon (${buildAsked() ? 'as asked for' : `no prebuilt one for ${platform}`})`);
  const { code, output, stopped } = await build();
  if (code !== 0) {
    notice(`building it failed${stopped ? `: ${stopped}` : ''}\n${tail(output)}`, BUILD_TOOLS_ADVICE);
    return;
  }
  const result = loadAddon(root);
  if (result.addon) {
    say(`built ${result.path}, ${result.addon.buildInfo().cuda ? 'with' : 'without'} CUDA kernels`);
  } else notice(`the one that was built does not load: ${result.error.message}`, 'Please report this.');
}

main().catch((error) => notice(error.message, error.advice ?? BUILD_TOOLS_ADVICE));
