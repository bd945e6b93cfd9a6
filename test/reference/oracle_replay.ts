/** The oracle behind the Replay interface. */
import type { Replay, ReplayGroup, ReplayState } from '../backends/golden_replay.js';
import {
  layoutOf,
  ORACLE_DEFAULTS,
  type OracleOptions,
  OracleVariable,
  type Precision,
} from './ftp_float64.js';
import type { GoldenOptions } from './golden.js';

/** The authors' option names in the oracle's words. */
export function oracleOptions(optimizer: 'sgdp' | 'adamp', options: GoldenOptions): OracleOptions {
  const common = { ...ORACLE_DEFAULTS, weightDecay: options.weight_decay, k: options.k };
  if (optimizer === 'sgdp') {
    return {
      ...common,
      base: 'sgd',
      momentum: options.momentum ?? 0,
      dampening: options.dampening ?? 0,
      nesterov: options.nesterov ?? false,
    };
  }
  const [beta1, beta2] = options.betas as [number, number];
  return {
    ...common,
    base: 'adamw',
    beta1,
    beta2,
    epsilon: options.eps as number,
    amsgrad: options.amsgrad ?? false,
  };
}

export class OracleReplay implements Replay {
  readonly variables = new Map<string, OracleVariable>();

  constructor(
    private readonly groups: ReplayGroup[],
    precision: Precision,
  ) {
    for (const group of groups) {
      const options = oracleOptions(group.optimizer, group.options);
      for (const { name, shape, outputAxis, init, anchor, excluded } of group.variables) {
        const layout = layoutOf(shape, outputAxis);
        this.variables.set(
          name,
          new OracleVariable(options, { layout, weights: init, anchor, excluded, precision }),
        );
      }
    }
  }

  step(learningRates: number[], gradients: Map<string, Float32Array | null>): void {
    this.groups.forEach((group, index) => {
      for (const { name } of group.variables) {
        this.variables.get(name)?.step(learningRates[index] as number, gradients.get(name) ?? null);
      }
    });
  }

  read(): Map<string, ReplayState> {
    const single = (data: Float64Array) => new Float32Array(data);
    return new Map(
      [...this.variables].map(([name, variable]) => [
        name,
        {
          weights: single(variable.weights),
          steps: variable.n > 0 ? [variable.t, variable.n] : null,
          constraint:
            variable.excluded || variable.n === 0
              ? null
              : {
                  gamma: variable.gamma,
                  gammaM: variable.gammaM,
                  gammaV: variable.gammaV,
                  hyperGradient: variable.hyperGradient,
                  norms: single(variable.norms),
                },
          slots: {
            m: single(variable.m),
            v: single(variable.v),
            vmax: single(variable.vmax),
            momentum: single(variable.momentum),
            deviation: single(variable.deviation),
          },
        },
      ]),
    );
  }

  assign(name: string, weights: Float32Array): void {
    this.variables.get(name)?.assign(weights);
  }

  reanchor(): void {
    for (const variable of this.variables.values()) variable.reanchor();
  }

  dispose(): void {}
}
