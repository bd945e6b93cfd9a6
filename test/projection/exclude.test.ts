import { describe, expect, it } from 'vitest';
import { Exclusion } from '../../src/projection/exclude.js';
import { findByName } from '../../src/projection/names.js';

const NAMES = ['head/kernel', 'head/bias', 'conv_1/kernel', 'conv_1/bias'];
const excludedBy = (exclusion: Exclusion, names = NAMES) => names.filter((name) => exclusion.matches(name));

describe('exclude', () => {
  it('nothing by default', () => expect(excludedBy(new Exclusion())).toEqual([]));

  it('by substrings and expressions', () => {
    expect(excludedBy(new Exclusion(['head/']))).toEqual(['head/kernel', 'head/bias']);
    expect(excludedBy(new Exclusion([/BIAS$/i, 'conv']))).toEqual([
      'head/bias',
      'conv_1/kernel',
      'conv_1/bias',
    ]);
  });

  it('by a global or sticky expression, which keeps no position between names', () => {
    const global = new Exclusion([/bias/g]);
    for (let round = 0; round < 3; ++round) expect(global.matches('head/bias')).toBe(true);
    const sticky = new Exclusion([/head/y]);
    for (let round = 0; round < 3; ++round) expect(sticky.matches('head/bias')).toBe(true);
  });

  it('by a predicate, which must answer with a boolean', () => {
    expect(excludedBy(new Exclusion((name) => name.endsWith('bias')))).toEqual(['head/bias', 'conv_1/bias']);
    const exclusion = new Exclusion((() => 1) as unknown as () => boolean);
    expect(() => exclusion.matches('w')).toThrow(TypeError);
    expect(() => exclusion.matches('w')).toThrow("exclude('w') must return a boolean, got 1");
  });

  it('does not follow later changes of the array', () => {
    const patterns = ['head/'];
    const exclusion = new Exclusion(patterns);
    patterns.push('conv');
    expect(excludedBy(exclusion)).toEqual(['head/kernel', 'head/bias']);
  });

  it.each([
    ['patterns', ['snake_case/', /^conv_\d\/(?<in_name>kernel)$/i] as Array<string | RegExp>],
    ['a predicate', (name: string) => name === 'conv_1/kernel'],
  ])('saves %s', (_what, option) => {
    const exclusion = new Exclusion(option);
    const saved = JSON.parse(JSON.stringify(exclusion.toConfig(NAMES)));
    const restored = Exclusion.fromConfig(saved);
    expect(excludedBy(restored)).toEqual(['conv_1/kernel']);
    expect(restored.toConfig(NAMES)).toEqual(exclusion.toConfig(NAMES));
  });

  it('restores the names of a predicate with another suffix, and no others', () => {
    const saved = new Exclusion((name) => name === 'head/kernel').toConfig(NAMES);
    const restored = Exclusion.fromConfig(JSON.parse(JSON.stringify(saved)));
    expect(restored.matches('head/kernel_2')).toBe(true);
    expect(restored.matches('head/kernel/more')).toBe(false);
    expect(restored.matches('head/bias')).toBe(false);
  });
});

describe('names across save and load', () => {
  const find = (saved: string[], name: string) => findByName(saved, (candidate) => candidate, name);
  it.each([
    ['the same', ['w_1', 'w'], 'w', 'w'],
    ['the same with a suffix', ['w', 'w_1'], 'w_1', 'w_1'],
    ['saved without a suffix', ['v', 'w'], 'w_3', 'w'],
    ['loaded without a suffix', ['w_3', 'v'], 'w', 'w_3'],
    ['both with one', ['v_1', 'w_3'], 'w_4', 'w_3'],
    ['suffixes of layers stay', ['dense_1/w', 'dense_2/w'], 'dense_2/w_1', 'dense_2/w'],
    ['none', ['dense_1/w'], 'dense_2/w', undefined],
  ])('%s', (_what, saved, name, expected) => expect(find(saved, name)).toBe(expected));
});
