/** Runs in the page: the package under a tfjs backend of the browser, driven from the test by `globalThis.subject`. */
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-backend-webgpu';
import { callbacks, ftp } from 'tfjs-ftp';
import type { Replay, ReplayGroup, ReplayState } from '../backends/golden_replay.js';
import { startTfjsReplay } from '../backends/tfjs_replay.js';

/** Float32Arrays cross the border of the page as lists. */
const asArray = (list: number[]) => Float32Array.from(list);
const asList = (array: Float32Array) => Array.from(array);

let replay: Replay | null = null;

interface Gpu {
  requestAdapter(): Promise<{ info?: { architecture?: string } } | null>;
}

const inPage = {
  /** Why WebGPU cannot run; null: it can. */
  async whyNoWebGpu(): Promise<string | null> {
    const { gpu } = (globalThis as unknown as { navigator: { gpu?: Gpu } }).navigator;
    if (gpu === undefined) return 'this Chromium has no WebGPU';
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return 'Chromium finds no adapter for WebGPU';
    // Its device is lost within the first steps, with the largest buffer that it takes under 432 bytes.
    return adapter.info?.architecture === 'swiftshader' ? 'the only adapter for WebGPU is SwiftShader' : null;
  },

  /** @returns the name of the backend that runs, or why it does not. */
  async useBackend(name: string): Promise<string> {
    setWasmPaths('/wasm/');
    try {
      const set = await tf.setBackend(name);
      await tf.ready();
      return set ? tf.getBackend() : `tf.setBackend('${name}') gave false`;
    } catch (error) {
      return String(error);
    }
  },

  start(groups: ReplayGroup[]): void {
    replay?.dispose();
    const typed = groups.map((group) => ({
      ...group,
      variables: group.variables.map((variable) => ({
        ...variable,
        init: asArray(variable.init as unknown as number[]),
        anchor: asArray(variable.anchor as unknown as number[]),
      })),
    }));
    const implementation = { label: 'browser', implementation: 'auto', runs: 'reference' };
    replay = startTfjsReplay(implementation as never)(typed) as Replay;
  },

  async step(rates: number[], gradients: Array<[string, number[] | null]>): Promise<void> {
    await replay?.step(rates, new Map(gradients.map(([name, list]) => [name, list && asArray(list)])));
  },

  async read(): Promise<unknown> {
    const state = (await replay?.read()) as Map<string, ReplayState>;
    return [...state].map(([name, { weights, constraint, slots, steps }]) => [
      name,
      {
        weights: asList(weights),
        constraint: constraint && { ...constraint, norms: asList(constraint.norms) },
        slots: Object.entries(slots).map(([slot, values]) => [slot, asList(values)]),
        steps,
      },
    ]);
  },

  /** Fine-tunes a small model with `fit` and a callback. */
  async fit(): Promise<{ losses: number[]; implementation: string; reason: string | null; tensors: number }> {
    callbacks.useLayers(tf);
    const before = tf.memory().numTensors;
    const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [4], units: 2 })] });
    const xs = tf.randomNormal([32, 4], 0, 1, 'float32', 1);
    const ys = tf.randomNormal([32, 2], 0, 1, 'float32', 2);
    const optimizer = ftp.adamw(0.01, { model });
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const stop = callbacks.earlyStopping({ monitor: 'loss', patience: 50 });
    const { history } = await model.fit(xs, ys, { epochs: 12, verbose: 0, callbacks: [stop as never] });
    const { implementation, fallbackReason: reason } = optimizer;
    optimizer.dispose();
    model.dispose();
    tf.dispose([xs, ys]);
    return {
      losses: history.loss as number[],
      implementation,
      reason,
      tensors: tf.memory().numTensors - before,
    };
  },
};

type Subject = typeof inPage;
declare global {
  var subject: Subject;
}
globalThis.subject = inPage;
