// What the golden table does not show: hand-made values, descriptions, wrong options.
import { inspect } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { schedules } from '../../src/index.js';

const { cosineRestarts, exponential, fromConfig, join, linearWarmup } = schedules;
const { oneCycle, piecewise, polynomial, warmupCosine } = schedules;
const rates = (schedule: schedules.Schedule, steps: number[]) => steps.map((step) => schedule(step));

describe('values by hand', () => {
  test('a linear warm-up stays at its target', () => {
    const schedule = linearWarmup({ initialLearningRate: 1, warmupTarget: 3, warmupSteps: 4 });
    expect(rates(schedule, [0, 1, 4, 9])).toEqual([1, 1.5, 3, 3]);
    expect(linearWarmup({ warmupTarget: 2, warmupSteps: 4 })(1)).toBe(0.5);
  });

  test('a join asks for own steps, or for those of the whole', () => {
    const parts = {
      schedules: [8, polynomial({ initialLearningRate: 4, decaySteps: 4 }), 0.5],
      boundaries: [1, 4],
    };
    expect(rates(join(parts), [0, 1, 2, 3, 4, 5])).toEqual([8, 4, 3, 2, 0.5, 0.5]);
    expect(rates(join({ ...parts, restartSteps: false }), [0, 1, 2, 3, 4])).toEqual([8, 3, 2, 1, 0.5]);
  });

  test("optax's linear one-cycle has three phases", () => {
    const schedule = oneCycle({
      ...{ maxLearningRate: 8, totalSteps: 10, pctStart: 0.25, divFactor: 4, finalDivFactor: 2 },
      ...{ annealStrategy: 'linear', threePhase: true, turningPoints: 'optax', pctFinal: 0.85 },
    });
    expect(rates(schedule, [0, 1, 2, 5, 8, 9, 10, 11])).toEqual([2, 5, 8, 5, 2, 1.5, 1, 1]);
  });

  test('cycles of a length that grows, to a limit', () => {
    const options = { initialLearningRate: 4, firstDecaySteps: 2, mMul: 0.5, alpha: 0.25 };
    // Ends at 1; amplitudes 3, 1.5, ... and peaks 4, 2, ...
    expect(rates(cosineRestarts(options), [0, 2, 6])).toEqual([4, 2.5, 1.75]);
    const peak = cosineRestarts({ ...options, mMulScales: 'peak', cycleLimit: 2 });
    expect(rates(peak, [0, 2, 6])).toEqual([4, 2, 1]);
  });

  test('an exponential bound from above', () => {
    const options = { initialLearningRate: 1, decaySteps: 1, decayRate: 2, endLearningRate: 5 };
    expect(rates(exponential(options), [0, 2, 3])).toEqual([1, 4, 5]);
  });

  test('boundaries, and one step later', () => {
    const options = { boundaries: [2], values: [1, 0.5] };
    expect(rates(piecewise(options), [1, 2, 3])).toEqual([1, 1, 0.5]);
    expect(rates(piecewise({ ...options, changeAt: '>=' }), [1, 2, 3])).toEqual([1, 0.5, 0.5]);
  });
});

describe('descriptions', () => {
  const nested = join({
    schedules: [
      linearWarmup({ warmupTarget: 1, warmupSteps: 2 }),
      join({ schedules: [1, oneCycle({ maxLearningRate: 1, totalSteps: 20 })], boundaries: [3] }),
    ],
    boundaries: [2],
  });

  it('survive JSON, nested ones too', () => {
    const restored = fromConfig(JSON.parse(JSON.stringify(nested.config)));
    expect(restored.config).toEqual(nested.config);
    const steps = Array.from({ length: 30 }, (_, i) => i);
    expect(rates(restored, steps)).toEqual(rates(nested, steps));
  });

  it('hold all options, cannot be changed, and are copies', () => {
    const values = [1, 0.5];
    const schedule = piecewise({ boundaries: [2], values });
    values[0] = 7;
    expect(schedule(0)).toBe(1);
    expect(schedule.config).toEqual({
      name: 'piecewise',
      options: { boundaries: [2], values: [1, 0.5], changeAt: '>' },
    });
    expect(() => Object.assign(schedule.config.options, { changeAt: '>=' })).toThrow(TypeError);
    expect(() => (schedule.config.options.values as number[]).push(1)).toThrow(TypeError);
    expect(inspect(schedule)).toContain('[Function: piecewise]');
    expect(inspect(schedule)).toContain("changeAt: '>'");
  });

  it('are refused where they are none', () => {
    const from = fromConfig as (config: unknown) => unknown;
    expect(() => from(null)).toThrow(new TypeError('config must be an object, got null'));
    expect(() => from({ name: 'toString', options: {} })).toThrow(
      /^name must be one of 'linearWarmup', .* got 'toString'$/,
    );
    expect(() => from({ name: 'join' })).toThrow(new TypeError('options must be an object, got undefined'));
  });
});

describe('wrong options', () => {
  const cosine = { initialLearningRate: 1, decaySteps: 10 };
  const cycle = { maxLearningRate: 1, totalSteps: 20 };
  const call = (make: (options: never) => unknown, options: unknown) => () => make(options as never);

  it.each<[string, () => unknown, typeof TypeError | typeof RangeError, string]>([
    [
      'an unknown option',
      call(warmupCosine, { ...cosine, decay: 1 }),
      TypeError,
      "options has no option 'decay'",
    ],
    ['a missing option', call(warmupCosine, { decaySteps: 1 }), TypeError, 'got undefined'],
    [
      'a text',
      call(polynomial, { ...cosine, power: '2' }),
      TypeError,
      "power must be a finite number > 0, got '2'",
    ],
    ['null where there is a default', call(polynomial, { ...cosine, power: null }), TypeError, 'got null'],
    [
      'a negative rate',
      call(exponential, { ...cosine, initialLearningRate: -1, decayRate: 1 }),
      RangeError,
      '-1',
    ],
    [
      'an infinite rate',
      call(linearWarmup, { warmupTarget: Infinity, warmupSteps: 1 }),
      RangeError,
      'Infinity',
    ],
    ['no steps', call(warmupCosine, { ...cosine, decaySteps: 0 }), RangeError, 'decaySteps must be'],
    [
      'a warm-up without a target',
      call(warmupCosine, { ...cosine, warmupSteps: 3 }),
      RangeError,
      'warmupTarget and warmupSteps > 0 must be given together, got null and 3',
    ],
    ['a target without steps', call(warmupCosine, { ...cosine, warmupTarget: 1 }), RangeError, 'got 1 and 0'],
    [
      'a decay that ends in the warm-up',
      call(warmupCosine, { ...cosine, warmupTarget: 1, warmupSteps: 10, warmupInDecaySteps: true }),
      RangeError,
      'decaySteps must be more than warmupSteps (10), which it counts, got 10',
    ],
    [
      'a shrinking cycle',
      call(cosineRestarts, { initialLearningRate: 1, firstDecaySteps: 1, tMul: 0.5 }),
      RangeError,
      '>= 1',
    ],
    ['a choice', call(oneCycle, { ...cycle, annealStrategy: 'sine' }), RangeError, "'cos', 'linear'"],
    [
      'pctFinal without its phase',
      call(oneCycle, { ...cycle, pctFinal: 0.9 }),
      RangeError,
      'must be left out',
    ],
    [
      'phases in no order',
      call(oneCycle, { ...cycle, pctStart: 0.8, threePhase: true }),
      RangeError,
      'got 15, 30, 19',
    ],
    ['a peak before step 0', call(oneCycle, { ...cycle, pctStart: 0.01 }), RangeError, 'one after another'],
    [
      'no array',
      call(piecewise, { boundaries: 2, values: [1, 2] }),
      TypeError,
      'boundaries must be an array, got 2',
    ],
    [
      'descending boundaries',
      call(piecewise, { boundaries: [4, 4], values: [1, 2, 3] }),
      RangeError,
      'got 4, 4',
    ],
    [
      'too few values',
      call(piecewise, { boundaries: [4], values: [1] }),
      RangeError,
      'one more element than boundaries (1), got 1',
    ],
    [
      'a value in a list',
      call(piecewise, { boundaries: [4], values: [1, -2] }),
      RangeError,
      'values[1] must be',
    ],
    [
      'a function of the user in a join',
      call(join, { schedules: [1, () => 1], boundaries: [2] }),
      TypeError,
      'schedules[1] must be a number or made by a function of schedules, got a function',
    ],
  ])('%s', (_, make, type, message) => {
    expect(make).toThrow(type);
    expect(make).toThrow(message);
  });

  it('a step that is no number >= 0', () => {
    const schedule = warmupCosine(cosine);
    expect(() => schedule(-1)).toThrow(RangeError);
    expect(() => schedule(undefined as never)).toThrow(
      new TypeError('step must be a finite number >= 0, got undefined'),
    );
  });
});
