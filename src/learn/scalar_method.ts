/** What a scalar optimizer keeps of one number. */
export interface Memory {
  /** Its steps so far. */
  steps: number;
  /** Its moments, or its momentum. */
  moments: readonly number[];
  /** Derivative of the number's last change, on its scale, by the optimizer's own numbers. */
  derivatives: Numbers;
}

/** Numbers by name. */
export interface Numbers {
  readonly [name: string]: number;
}

/** The gradient of one number, on the scale that it is learned on. */
export interface HyperGradient {
  h: number;
  /** Sum of squares of what multiplied what in `h`: h = sum G X. */
  gg: number;
  xx: number;
}

/** An optimizer of single numbers. */
export interface ScalarMethod {
  /** Its own numbers, with a default where there is one. */
  readonly numbers: { readonly [name: string]: number | undefined };
  /** The gradient that it works with; null: it leaves the number alone. */
  gradient(given: HyperGradient): number | null;
  /** Before the first step. */
  start: readonly number[];
  /**
   * One step with the gradient that {@link gradient} gave.
   *
   * @param steps which step it is, from 1.
   * @returns the change of the number, and the memory of this step.
   */
  step(
    numbers: Numbers,
    steps: number,
    g: number,
    moments: readonly number[],
  ): { change: number; moments: readonly number[]; derivatives: Numbers };
}
