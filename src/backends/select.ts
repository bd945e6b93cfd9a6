/** Chooses what computes the steps, for the tfjs backend that is active, and says why. */

import { engine, type KernelBackend } from '@tensorflow/tfjs-core';
import { FtpError, type FtpErrorCode } from '../errors.js';
import {
  ADDON_ADVICE,
  describeTried,
  findNative,
  type NativeAddon,
  type TensorflowStatus,
} from '../native.js';
import { ArraysImplementation, cpuAccess, wasmAccess } from './arrays.js';
import { nodeBackend, OpImplementation } from './op.js';
import { ReferenceImplementation } from './reference.js';
import type { Implementation, ImplementationChoice } from './types.js';

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
}

let tensorflow: TensorflowStatus | undefined;

/** Finds TensorFlow and registers the ops; asked again as long as that has not succeeded. */
export function tensorflowStatus(addon: NativeAddon): TensorflowStatus {
  if (tensorflow === undefined || !tensorflow.registered) tensorflow = addon.tensorflow();
  return tensorflow;
}

function nativeOnTensorflow(addon: NativeAddon, backend: KernelBackend): Implementation | Obstacle {
  const node = nodeBackend(backend);
  if (typeof node === 'string') return { code: 'BACKEND_UNSUPPORTED', reason: node };
  const status = tensorflowStatus(addon);
  if (status.registered) {
    const gpu = node.isUsingGpuDevice && status.gpu;
    return new OpImplementation(addon, node, gpu ? 'tensorflow-gpu' : 'tensorflow-cpu');
  }
  if (status.missing !== undefined && status.missing.length > 0) {
    return {
      code: 'TENSORFLOW_API_MISSING',
      reason:
        `TensorFlow ${status.version ?? ''} lacks ${status.missing.join(', ')} in its C API; ` +
        '`npx tfjs-ftp setup-tensorflow` installs a newer one',
    };
  }
  return {
    code: status.found ? 'NATIVE_FAILURE' : 'TENSORFLOW_NOT_FOUND',
    reason: status.reason ?? 'the libtensorflow that tfjs-node has loaded was not found',
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
  const { addon, tried } = findNative();
  if (addon === null) {
    return {
      code: 'ADDON_NOT_FOUND',
      reason: `the compiled addon could not be loaded. Tried:\n${describeTried(tried)}\n${ADDON_ADVICE}`,
    };
  }
  if (name === 'tensorflow') return nativeOnTensorflow(addon, backend);
  const access = name === 'wasm' ? wasmAccess(backend) : cpuAccess(backend);
  if (typeof access === 'string') return { code: 'BACKEND_UNSUPPORTED', reason: access };
  return new ArraysImplementation(addon, access);
}

/** Name of the active backend; makes tfjs choose one where it has not yet. */
export function activeBackend(): string {
  const current = engine();
  void current.backend;
  return current.backendName;
}

/**
 * What computes the steps under the active backend.
 *
 * @throws FtpError if `choice` is 'native' and nothing native can run: with every path tried and what to do.
 */
export function selectImplementation(choice: ImplementationChoice): Selection {
  const backend = activeBackend();
  if (choice === 'reference') {
    return {
      implementation: new ReferenceImplementation(),
      backend,
      reason: "implementation: 'reference'",
    };
  }
  const found = findNativeImplementation(backend, engine().backend);
  if (!('code' in found)) return { implementation: found, backend, reason: null };
  if (choice === 'native') {
    throw new FtpError(found.code, `implementation: 'native' cannot run: ${found.reason}`);
  }
  return { implementation: new ReferenceImplementation(), backend, reason: found.reason };
}
