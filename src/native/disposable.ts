/** `using` for our classes. */

/** Makes `dispose` the method that `using` calls, where Node has `Symbol.dispose`. */
export function makeDisposable(prototype: object, dispose: () => void): void {
  const symbol = Symbol.dispose as symbol | undefined;
  if (symbol === undefined) return;
  Object.defineProperty(prototype, symbol, { value: dispose, configurable: true, writable: true });
}
