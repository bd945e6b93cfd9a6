import { engine, type Variable } from '@tensorflow/tfjs-core';

/** The variable that tfjs has under a name. tfjs keeps them in a plain object, which has names of its own. */
export function registeredVariable(name: string): Variable | undefined {
  const registered = engine().registeredVariables;
  return Object.hasOwn(registered, name) ? registered[name] : undefined;
}
