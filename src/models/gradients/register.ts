/** How this package's gradients enter tfjs's registry, and how others see that they did. */

import * as tf from '@tensorflow/tfjs-core';

/** On a gradient function of this package; the same in every copy of it. */
const MARK = Symbol.for('tfjs-ftp.gradient');

interface Marked {
  [MARK]?: true;
}

type GradFunc = tf.GradConfig['gradFunc'];

/** Whether the gradient that is registered for a kernel is of this package. */
export function isOurs(kernelName: string): boolean {
  return (tf.getGradient(kernelName)?.gradFunc as Marked | undefined)?.[MARK] !== undefined;
}

/**
 * Registers a gradient that tfjs lacks. If tfjs has one by now, it stays: a later version knows better.
 *
 * `config` is of the shape that `tf.registerGradient` takes.
 */
export function register(config: tf.GradConfig): void {
  const present = tf.getGradient(config.kernelName);
  if (present !== undefined && !isOurs(config.kernelName)) return;
  (config.gradFunc as Marked)[MARK] = true;
  tf.registerGradient(config);
}

/**
 * Registers a gradient in place of tfjs's own, which `make` is given. Both are called with the same saved tensors, so the new
 * one must make do with those that tfjs's own asks for.
 */
export function replace(kernelName: string, make: (own: GradFunc) => GradFunc): void {
  const own = tf.getGradient(kernelName);
  if (own === undefined || isOurs(kernelName)) return;
  const gradFunc = make(own.gradFunc);
  (gradFunc as Marked)[MARK] = true;
  tf.registerGradient({ ...own, gradFunc });
}

/** Registers a gradient that takes over from tfjs's own where `applies` says so, by the kernel's attributes. */
export function extend(
  kernelName: string,
  applies: (attrs: tf.NamedAttrMap) => boolean,
  gradFunc: GradFunc,
): void {
  replace(
    kernelName,
    (own) => (dy, saved, attrs) => (applies(attrs) ? gradFunc(dy, saved, attrs) : own(dy, saved, attrs)),
  );
}

/** Registers a kernel, made of other operations, for a backend that lacks it. */
export function registerMissingKernel(
  backendName: string,
  kernelName: string,
  compute: (inputs: Record<string, tf.Tensor>, attrs: Record<string, unknown>) => tf.Tensor,
): void {
  if (tf.getKernel(kernelName, backendName) !== undefined) return;
  tf.registerKernel({
    backendName,
    kernelName,
    // Tensors go in and come out here though the types speak of their infos: the engine passes them through.
    kernelFunc: ({ inputs, attrs }) =>
      tf.tidy(() =>
        compute(inputs as unknown as Record<string, tf.Tensor>, attrs as Record<string, unknown>),
      ) as unknown as tf.TensorInfo,
  });
}
