/** Chooses what computes the steps, for the tfjs backend that is active, and says why. */

import { engine, type KernelBackend } from '@tensorflow/tfjs-core';
import { FtpError, type FtpErrorCode } from '../errors.js';
import type { BoundMethod } from '../methods/method.js';
import { proposal } from '../methods/proposal.js';
import {
  addonAdvice,
  describeTried,
  findNative,
  type NativeAddon,
  type NativeLookup,
  type TensorflowStatus,
} from '../native/addon.js';
import type { StateFormat } from '../options.js';
import { environment } from '../platform/node.js';
import { ArraysImplementation, cpuAccess, wasmAccess } from './arrays.js';
import { nodeBackend, OpImplementation } from './op.js';
import { ReferenceImplementation } from './reference.js';
import type { Implementation, ImplementationChoice, ImplementationName } from './types.js';

/** What was chosen, for which backend, and what was tried before. */
export interface Selection {
  implementation: Implementation;
  /** Name of the tfjs backend that it was chosen for. */
  backend: string;
  /** Why nothing native runs; null where it does. */
  reason: string | null;
}

/** Why a native implementation cannot run. */
interface Obstacle {
  code: FtpErrorCode;
  reason: string;
  /** For a warning, where one could run: why in one line, and the way out. */
  warning?: { why: string; advice: string };
}

let tensorflow: TensorflowStatus | undefined;

/** Finds TensorFlow and registers the ops; asked again as long as that has not succeeded. */
export function tensorflowStatus(addon: NativeAddon): TensorflowStatus {
  if (tensorflow === undefined || !tensorflow.registered) tensorflow = addon.tensorflow();
  return tensorflow;
}

function nativeOnTensorflow(addon: NativeAddon, backend: KernelBackend): Implementation | Obstacle {
  const node = nodeBackend(backend);
  if (typeof node === 'string') return { code: 'BACKEND_UNSUPPORTED', reason: node }; // somebody else's backend
  const status = tensorflowStatus(addon);
  if (status.registered) {
    const gpu = node.isUsingGpuDevice && status.gpu;
    return new OpImplementation(addon, node, gpu ? 'tensorflow-gpu' : 'tensorflow-cpu');
  }
  if (status.missing !== undefined && status.missing.length > 0) {
    const advice = '`npx tfjs-ftp setup-tensorflow` installs a newer one';
    const tensorflowIs = `TensorFlow ${status.version ?? ''} lacks`;
    return {
      code: 'TENSORFLOW_API_MISSING',
      reason: `${tensorflowIs} ${status.missing.join(', ')} in its C API; ${advice}`,
      warning: { why: `${tensorflowIs} parts of its C API`, advice },
    };
  }
  const reason = status.reason ?? 'the libtensorflow that tfjs-node has loaded was not found';
  return {
    code: status.found ? 'NATIVE_FAILURE' : 'TENSORFLOW_NOT_FOUND',
    reason,
    warning: { why: reason, advice: '`npx tfjs-ftp setup-tensorflow` installs TensorFlow anew' },
  };
}

/** The addon does not load. */
function withoutAddon({ tried, possible }: NativeLookup): Obstacle {
  if (!possible) return { code: 'ADDON_NOT_FOUND', reason: tried.map(({ reason }) => reason).join('; ') };
  const reason = `the compiled addon could not be loaded. Tried:\n${describeTried(tried)}\n${addonAdvice()}`;
  const code = 'ADDON_NOT_FOUND';
  const named = environment().TFJS_FTP_ADDON;
  if (named === 'none') return { code, reason }; // as somebody wants it
  const why = 'the compiled addon could not be loaded';
  if (!named) return { code, reason, warning: { why, advice: '`npm rebuild tfjs-ftp` builds it' } };
  return {
    code,
    reason,
    warning: { why: `${why} (${describeTried(tried).trim()})`, advice: 'correct or unset TFJS_FTP_ADDON' },
  };
}

/** The native implementation for a backend, or why there is none. */
function findNativeImplementation(name: string, backend: KernelBackend): Implementation | Obstacle {
  if (!['tensorflow', 'wasm', 'cpu'].includes(name)) {
    return {
      code: 'BACKEND_UNSUPPORTED',
      reason: `the tfjs backend is '${name}'; the native step runs on 'tensorflow' (tfjs-node), 'wasm' and 'cpu'`,
    };
  }
  const lookup = findNative();
  const { addon, problem } = lookup;
  if (addon === null) return withoutAddon(lookup);
  if (problem !== null) throw new RangeError(problem);
  if (name === 'tensorflow') return nativeOnTensorflow(addon, backend);
  const access = name === 'wasm' ? wasmAccess(backend) : cpuAccess(backend);
  if (typeof access === 'string') {
    const advice = `another version or setting of the ${name} backend may have it`;
    return { code: 'BACKEND_UNSUPPORTED', reason: access, warning: { why: access, advice } };
  }
  return new ArraysImplementation(addon, access);
}

/** Name of the active backend; makes tfjs choose one where it has not yet. */
export function activeBackend(): string {
  const current = engine();
  void current.backend;
  return current.backendName;
}

const warned = new Set<FtpErrorCode>();

/** Says that steps will be slow, once per process for each kind of obstacle. */
function warnOfFallback({ code, warning }: Obstacle): void {
  if (warning === undefined || warned.has(code)) return;
  warned.add(code);
  const { why, advice } = warning;
  console.warn(
    `tfjs-ftp: steps will run in tfjs operations, several times slower than the native step: ${why.split('\n')[0]}. ` +
      `What to do: ${advice}; \`npx tfjs-ftp doctor\` has the details.`,
  );
}

/** Why a native implementation lacks a format of the state; null where it has it. */
function lackingFormat(name: ImplementationName, format: StateFormat): Obstacle | null {
  if (name !== 'tensorflow-gpu' || format === 'float32') return null;
  const why = `there is no native step on a GPU with stateFormat '${format}'`;
  return { code: 'NATIVE_FAILURE', reason: why, warning: { why, advice: "stateFormat 'float32' has one" } };
}

/** Why native code lacks a method; null where it has it. */
function lacking({ base, rule }: BoundMethod): string | null {
  if (rule.notNative) return `there is no native step of the rule '${rule.name}'`;
  // A rule that changes the gradient must come before the other optimizer, which is not in native code.
  if (base !== proposal || rule.onePass !== true) return null;
  return `there is no native step of the rule '${rule.name}' around another optimizer`;
}

/**
 * What computes the steps under the active backend. Warns where 'auto' falls back though a native step could run.
 *
 * @param format of the state.
 * @throws FtpError if `choice` is 'native' and nothing native can run: with every path tried and what to do; RangeError
 *   for an environment variable with a value that is not accepted.
 */
export function selectImplementation(
  choice: ImplementationChoice,
  method?: BoundMethod,
  format: StateFormat = 'float32',
): Selection {
  const backend = activeBackend();
  if (choice === 'reference') {
    return {
      implementation: new ReferenceImplementation(),
      backend,
      reason: "implementation: 'reference'",
    };
  }
  const reason = method === undefined ? null : lacking(method);
  const native =
    reason === null
      ? findNativeImplementation(backend, engine().backend)
      : { code: 'NATIVE_FAILURE' as const, reason };
  const found = ('code' in native ? null : lackingFormat(native.name, format)) ?? native;
  if (!('code' in found)) return { implementation: found, backend, reason: null };
  if (choice === 'native') {
    throw new FtpError(found.code, `implementation: 'native' cannot run: ${found.reason}`);
  }
  warnOfFallback(found);
  return { implementation: new ReferenceImplementation(), backend, reason: found.reason };
}
