/**
 * What has a state that a checkpoint of `tfjs-ftp/checkpoint` can hold: `earlyStopping`, `reduceOnPlateau`, a dataset of
 * `resumable`, or an object of your own.
 */
export interface Stateful {
  /**
   * The state as JSON: null, booleans, numbers (NaN and infinities too), strings, arrays, plain objects; tensors may stand
   * wherever a value may. Tensors stay the object's own.
   */
  getState(): unknown;
  /**
   * Takes over a state that {@link getState} gave, before training goes on.
   *
   * @param state tensors in it are the caller's, who disposes them afterwards: clone those that are kept.
   */
  setState(state: unknown): void;
}
