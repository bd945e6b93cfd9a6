/** `tfjs-ftp/native`, the fused step on arrays of either kind, behind the Replay interface. */
import type { FusedArray, FusedStep, FusedVariable } from '../../src/native/index.js';
import { type ArrayKind, createStep, DEVICE, HOST } from './array_kinds.js';
import type { Replay, ReplayGroup, ReplayState, Slot } from './golden_replay.js';

function stepOf<A extends FusedArray>(group: ReplayGroup, variables: FusedVariable<A>[]): FusedStep<A> {
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
    return createStep({ base: 'adamw', ...shared, beta1, beta2, epsilon: eps, amsgrad });
  }
  return createStep({ base: 'sgd', ...shared, momentum, dampening, nesterov });
}

class ArraysReplay<A extends FusedArray> implements Replay {
  private readonly parts: { variables: FusedVariable<A>[]; step: FusedStep<A> }[];

  constructor(
    private readonly kind: ArrayKind<A>,
    groups: ReplayGroup[],
  ) {
    this.parts = groups.map((group) => {
      const variables = group.variables.map(
        ({ name, shape, outputAxis, defaultAxis, init, anchor, excluded }) => ({
          name,
          shape,
          weights: kind.make(init),
          ...(excluded || anchor.every((a, i) => a === init[i]) ? {} : { anchor: kind.make(anchor) }),
          excluded,
          ...(defaultAxis ? {} : { outputAxis }),
        }),
      );
      return { variables, step: stepOf(group, variables) };
    });
  }

  step(learningRates: number[], gradients: Map<string, Float32Array | null>): void {
    this.parts.forEach(({ variables, step }, index) => {
      const given = variables.map(({ name }) => {
        const gradient = gradients.get(name);
        return gradient ? this.kind.make(gradient) : null;
      });
      step.step(given, { learningRate: learningRates[index] as number });
      for (const gradient of given) if (gradient !== null) this.kind.free(gradient);
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
            weights: this.kind.read(weights),
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
      this.kind.write((variables[index] as FusedVariable<A>).weights, weights);
      step.weightsChanged(index);
    }
  }

  reanchor(): void {
    for (const { step } of this.parts) step.reanchor();
  }

  dispose(): void {
    for (const { variables, step } of this.parts) {
      step.dispose();
      for (const { weights } of variables) this.kind.free(weights);
    }
  }
}

export const startArraysReplay = (groups: ReplayGroup[]): Replay => new ArraysReplay(HOST, groups);
export const startDeviceReplay = (groups: ReplayGroup[]): Replay => new ArraysReplay(DEVICE, groups);
