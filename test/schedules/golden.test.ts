// Every schedule of the golden table is one expression here, and gives the values of the library that it comes from.
import fs from 'node:fs';
import { expect, test } from 'vitest';
import { schedules } from '../../src/index.js';

const { cosineRestarts, exponential, join, linearWarmup } = schedules;
const { oneCycle, piecewise, polynomial, warmupCosine } = schedules;

interface Golden {
  kind: string;
  source: string;
  // biome-ignore lint/suspicious/noExplicitAny: options of other libraries, named as there
  options: any;
  lr: number[];
}

const file = new URL('../fixtures/golden2/schedules.json', import.meta.url);
const table = JSON.parse(fs.readFileSync(file, 'utf8')) as {
  tolerance: { lr_rel: number };
  schedules: Golden[];
};

/** timm's warm-up before a schedule, which goes on behind it without `warmup_prefix`. */
function afterTimmWarmup(o: Golden['options'], schedule: schedules.Schedule): schedules.Schedule {
  if (o.warmup_t === 0) return schedule;
  const warmup = linearWarmup({
    initialLearningRate: o.warmup_lr_init,
    warmupTarget: o.lr,
    warmupSteps: o.warmup_t,
  });
  return join({
    schedules: [warmup, schedule],
    boundaries: [o.warmup_t],
    restartSteps: o.warmup_prefix,
  });
}

/** A constant rate before a schedule. */
const after = (steps: number, rate: number, schedule: schedules.Schedule) =>
  join({ schedules: [rate, schedule], boundaries: [steps] });

const optaxWarmupCosine = (o: Golden['options']) =>
  warmupCosine({
    initialLearningRate: o.init_value,
    warmupTarget: o.peak_value,
    warmupSteps: o.warmup_steps,
    decaySteps: o.decay_steps,
    alpha: o.end_value / o.peak_value,
    warmupInDecaySteps: true,
  });

/** A first value and its products with factors, each on top of the one before. */
function products(first: number, factors: number[]): number[] {
  const values = [first];
  for (const factor of factors) values.push((values.at(-1) as number) * factor);
  return values;
}

const MAKE: { [kind: string]: (options: Golden['options']) => schedules.Schedule } = {
  torch_warmup_cosine: (o) =>
    warmupCosine({
      initialLearningRate: o.start_factor * o.lr,
      warmupTarget: o.lr,
      warmupSteps: o.warmup_steps,
      decaySteps: o.decay_steps,
      alpha: o.eta_min / o.lr,
    }),
  optax_warmup_cosine: optaxWarmupCosine,
  keras_cosine: (o) =>
    warmupCosine({
      initialLearningRate: o.initial_learning_rate,
      warmupTarget: o.warmup_target,
      warmupSteps: o.warmup_steps,
      decaySteps: o.decay_steps,
      alpha: o.alpha,
    }),
  timm_cosine: (o) =>
    afterTimmWarmup(
      o,
      cosineRestarts({
        initialLearningRate: o.lr,
        firstDecaySteps: o.t_initial,
        tMul: o.cycle_mul,
        mMul: o.cycle_decay,
        mMulScales: 'peak',
        alpha: o.lr_min / o.lr,
        cycleLimit: o.cycle_limit,
      }),
    ),
  timm_poly: (o) =>
    afterTimmWarmup(
      o,
      polynomial({
        initialLearningRate: o.lr,
        decaySteps: o.t_initial,
        endLearningRate: o.lr_min,
        power: o.power,
      }),
    ),
  torch_onecycle: (o) =>
    oneCycle({
      maxLearningRate: o.max_lr,
      totalSteps: o.total_steps,
      pctStart: o.pct_start,
      annealStrategy: o.anneal_strategy,
      divFactor: o.div_factor,
      finalDivFactor: o.final_div_factor,
      threePhase: o.three_phase,
    }),
  optax_onecycle: (o) =>
    oneCycle({
      maxLearningRate: o.peak_value,
      totalSteps: o.transition_steps,
      pctStart: o.pct_start,
      divFactor: o.div_factor,
      finalDivFactor: o.final_div_factor,
      turningPoints: 'optax',
    }),
  torch_polynomial: (o) =>
    polynomial({ initialLearningRate: o.lr, decaySteps: o.total_iters, power: o.power }),
  optax_polynomial: (o) =>
    after(
      o.transition_begin,
      o.init_value,
      polynomial({
        initialLearningRate: o.init_value,
        decaySteps: o.transition_steps,
        endLearningRate: o.end_value,
        power: o.power,
      }),
    ),
  keras_polynomial: (o) =>
    polynomial({
      initialLearningRate: o.initial_learning_rate,
      decaySteps: o.decay_steps,
      endLearningRate: o.end_learning_rate,
      power: o.power,
      cycle: o.cycle,
    }),
  torch_exponential: (o) => exponential({ initialLearningRate: o.lr, decaySteps: 1, decayRate: o.gamma }),
  optax_exponential: (o) =>
    after(
      o.transition_begin,
      o.init_value,
      exponential({
        initialLearningRate: o.init_value,
        decaySteps: o.transition_steps,
        decayRate: o.decay_rate,
        staircase: o.staircase,
        endLearningRate: o.end_value,
      }),
    ),
  keras_exponential: (o) =>
    exponential({
      initialLearningRate: o.initial_learning_rate,
      decaySteps: o.decay_steps,
      decayRate: o.decay_rate,
      staircase: o.staircase,
    }),
  torch_multistep: (o) =>
    piecewise({
      boundaries: o.milestones,
      values: products(
        o.lr,
        o.milestones.map(() => o.gamma),
      ),
      changeAt: '>=',
    }),
  optax_piecewise: (o) =>
    piecewise({ boundaries: o.boundaries, values: products(o.init_value, o.scales), changeAt: '>=' }),
  keras_piecewise: (o) => piecewise({ boundaries: o.boundaries, values: o.values }),
  torch_cosine_restarts: (o) =>
    cosineRestarts({
      initialLearningRate: o.lr,
      firstDecaySteps: o.T_0,
      tMul: o.T_mult,
      alpha: o.eta_min / o.lr,
    }),
  keras_cosine_restarts: (o) =>
    cosineRestarts({
      initialLearningRate: o.initial_learning_rate,
      firstDecaySteps: o.first_decay_steps,
      tMul: o.t_mul,
      mMul: o.m_mul,
      alpha: o.alpha,
    }),
  optax_sgdr: (o) =>
    join({
      schedules: o.cycles.map(optaxWarmupCosine),
      boundaries: o.cycles
        .slice(0, -1)
        .map((_: unknown, i: number) =>
          o.cycles
            .slice(0, i + 1)
            .reduce((sum: number, { decay_steps }: { decay_steps: number }) => sum + decay_steps, 0),
        ),
    }),
};

test('the table has 25 schedules', () => expect(table.schedules).toHaveLength(25));

test.each(table.schedules.map((entry, i) => ({ ...entry, i })))('$i: $source', ({ kind, options, lr }) => {
  const schedule = MAKE[kind]?.(options) as schedules.Schedule;
  const restored = schedules.fromConfig(JSON.parse(JSON.stringify(schedule.config)));
  // Values that are 0 in exact arithmetic may differ by rounding, relative to the highest rate.
  const floor = 1e-12 * Math.max(...lr);
  for (const [step, expected] of lr.entries()) {
    const value = schedule(step);
    expect(Math.abs(value - expected), `step ${step}: ${value}, expected ${expected}`).toBeLessThanOrEqual(
      table.tolerance.lr_rel * expected + floor,
    );
    expect(restored(step)).toBe(value);
  }
});
