/** `tfjs-ftp/native`, the fused step on Float32Arrays, behind the Replay interface. */
import { createFusedStep, type FusedStep, type FusedVariable } from '../../src/native_api.js';
import type { Replay, ReplayGroup, ReplayState, Slot } from './golden_replay.js';

function createStep(group: ReplayGroup, variables: FusedVariable[]): FusedStep {
  const {
    k,
    lr,
    weight_decay: weightDecay,
    betas,
    eps,
    amsgrad,
    momentum,
    dampening,
    nesterov,
  } = group.options;
  const { threads } = group;
  const shared = {
    learningRate: lr,
    variables,
    k,
    weightDecay,
    ...(threads === undefined ? {} : { threads }),
  };
  if (group.optimizer === 'adamp') {
    const [beta1, beta2] = betas as [number, number];
    return createFusedStep({ base: 'adamw', ...shared, beta1, beta2, epsilon: eps, amsgrad });
  }
  return createFusedStep({ base: 'sgd', ...shared, momentum, dampening, nesterov });
}

class ArraysReplay implements Replay {
  private readonly parts: { group: ReplayGroup; variables: FusedVariable[]; step: FusedStep }[];

  constructor(groups: ReplayGroup[]) {
    this.parts = groups.map((group) => {
      const variables = group.variables.map(
        ({ name, shape, outputAxis, defaultAxis, init, anchor, excluded }) => ({
          name,
          shape,
          weights: init.slice(),
          ...(excluded || anchor.every((a, i) => a === init[i]) ? {} : { anchor }),
          excluded,
          ...(defaultAxis ? {} : { outputAxis }),
        }),
      );
      return { group, variables, step: createStep(group, variables) };
    });
  }

  step(learningRates: number[], gradients: Map<string, Float32Array | null>): void {
    this.parts.forEach(({ variables, step }, index) => {
      step.step(
        variables.map(({ name }) => gradients.get(name) ?? null),
        { learningRate: learningRates[index] as number },
      );
    });
  }

  read(): Map<string, ReplayState> {
    return new Map(
      this.parts.flatMap(({ variables, step }) =>
        variables.map(({ name, weights, excluded }, index) => {
          const { t, n, slots } = step.state(index);
          const { constraint, norms, ...others } = slots;
          const [gamma, gammaM, gammaV, hyperGradient] = (constraint ?? []) as unknown as number[];
          const state: ReplayState = {
            weights: weights.slice(),
            constraint:
              excluded || n === 0
                ? null
                : {
                    gamma: gamma as number,
                    gammaM: gammaM as number,
                    gammaV: gammaV as number,
                    hyperGradient: hyperGradient as number,
                    norms: norms as Float32Array,
                  },
            slots: others as Partial<Record<Slot, Float32Array>>,
            steps: n === 0 ? null : [t, n],
          };
          return [name, state] as const;
        }),
      ),
    );
  }

  assign(name: string, weights: Float32Array): void {
    for (const { variables, step } of this.parts) {
      const index = variables.findIndex((variable) => variable.name === name);
      if (index < 0) continue;
      variables[index]?.weights.set(weights);
      step.weightsChanged(index);
    }
  }

  reanchor(): void {
    for (const { step } of this.parts) step.reanchor();
  }

  dispose(): void {}
}

export const startArraysReplay = (groups: ReplayGroup[]): Replay => new ArraysReplay(groups);
