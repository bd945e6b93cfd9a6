// Install script of the published package: a prebuilt addon that loads is all it wants; else it tries to build one;
// else it says that the reference implementation will be used. CUDA kernels are compiled where there are nvcc and an
// NVIDIA driver, or where TFJS_FTP_CUDA=ON asks for them. An installation fails for one reason alone: a TFJS_FTP_CUDA
// that means nothing.
import { tail } from '../lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool, nodeGypRebuild } from '../lib/node_gyp.mjs';
import { reporter, reportFailure, SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { examineAddon } from './examine_addon.mjs';
import { chooseCuda, cudaSetting } from './nvcc.mjs';
import { elapsedLines, openTerminal } from './terminal.mjs';

const PREFIX = 'tfjs-ftp';
const terminal = openTerminal(process.env);
const print = reporter(PREFIX);
const platform = `${process.platform}-${process.arch}`;

/** To the log that npm keeps for itself, and to the user. */
function say(text) {
  for (const line of text.split('\n')) {
    print(line);
    terminal?.(`${PREFIX}: ${line}`);
  }
}

/** Why an addon is to be built though one may be there already; null: that one will do. */
function whyAsked(present) {
  if (['true', 'tfjs-ftp'].includes(process.env.npm_config_build_from_source)) return 'as asked for';
  if (cudaSetting(process.env) === 'ON' && present.path && !present.cuda) {
    return 'TFJS_FTP_CUDA is ON, and the one that is there has no CUDA kernels';
  }
  return null;
}

async function notice(reason, advice) {
  const { path: other } = await examineAddon(root);
  say(`${other ? 'not built' : 'no native addon'}: ${reason}`);
  const reference = 'The reference implementation (tfjs ops) will be used: same numbers, slower steps.';
  say(other ? `The one that is there will be used: ${other}` : reference);
  if (advice) say(advice);
  say('Then: npm rebuild tfjs-ftp. `npx tfjs-ftp doctor` shows what is in use.');
}

/** One build; `cuda`: with CUDA kernels. Tells the user that it goes on. */
function compile(cuda) {
  const tick = terminal === null ? undefined : elapsedLines(terminal, `${PREFIX}: still compiling`);
  const env = cuda ? process.env : { ...process.env, TFJS_FTP_CUDA: 'OFF' };
  return nodeGypRebuild(root, { env, onProgress: tick });
}

/** Builds with CUDA kernels if they can be had; a build that fails with them is tried without, unless TFJS_FTP_CUDA=ON. */
async function build() {
  const { toolkit, reason } = chooseCuda(process.env, { needsDriver: true });
  const without = `without CUDA kernels: ${reason}. A GPU will not be used; everything else works.`;
  say(
    toolkit
      ? `with CUDA kernels (CUDA ${toolkit.version}), which takes some minutes; TFJS_FTP_CUDA=OFF leaves them out`
      : `${without} It takes about a minute`,
  );
  const result = await compile(toolkit !== null);
  if (result.code === 0 || result.stopped || toolkit === null || cudaSetting(process.env) === 'ON') {
    return result;
  }
  say(`building it with CUDA kernels failed, once more without them\n${tail(result.output)}`);
  return compile(false);
}

async function main() {
  const present = await examineAddon(root);
  const asked = whyAsked(present);
  if (asked === null && present.path) return;
  // From here on the package's own addon counts, whatever else the environment names.
  delete process.env.TFJS_FTP_ADDON;
  const missing = await missingBuildTool();
  if (missing) {
    await notice(
      `${asked ? 'it is to be built' : `there is no prebuilt one for ${platform}`}, and ${missing} was not found`,
      BUILD_TOOLS_ADVICE,
    );
    return;
  }
  say(`building the native addon (${asked ?? `no prebuilt one for ${platform}`})`);
  const start = performance.now();
  const { code, output, stopped } = await build();
  if (code !== 0) {
    await notice(`building it failed${stopped ? `: ${stopped}` : ''}\n${tail(output)}`, BUILD_TOOLS_ADVICE);
    return;
  }
  const result = await examineAddon(root);
  if (result.path) {
    const kernels = result.cuda ? 'with' : 'without';
    say(`built ${result.path}, ${kernels} CUDA kernels, in ${seconds(start)}`);
  } else await notice(`the one that was built does not load: ${result.problem}`, 'Please report this.');
}

try {
  cudaSetting(process.env);
} catch (error) {
  reportFailure(PREFIX, error);
  process.exit(1);
}
main().catch((error) =>
  notice(error.message, error.advice ?? (error instanceof SetupError ? '' : BUILD_TOOLS_ADVICE)),
);
