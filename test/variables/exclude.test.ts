import { describe, expect, it } from 'vitest';
import { type ExcludeOption, Exclusion } from '../../src/variables/exclude.js';
import { findByName } from '../../src/variables/names.js';

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
    ['a layer', [{ layer: 'conv_1' }, 'bias'], ['conv_1/kernel', 'conv_1/bias', 'head/bias']],
  ] as Array<[string, ExcludeOption, string[]?]>)('saves %s', (_what, option, names = ['conv_1/kernel']) => {
    const exclusion = new Exclusion(option);
    const saved = JSON.parse(JSON.stringify(exclusion.toConfig(NAMES)));
    const restored = Exclusion.fromConfig(saved);
    expect(new Set(excludedBy(restored))).toEqual(new Set(names));
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

describe('exclude of a layer', () => {
  it('by a segment of the path that is not the last', () => {
    const names = ['head/kernel', 'net/head/bias_2', 'multi_head/w', 'head_1/w', 'head', 'net/head', 'a/b/w'];
    expect(excludedBy(new Exclusion([{ layer: 'head' }]), names)).toEqual(['head/kernel', 'net/head/bias_2']);
    expect(excludedBy(new Exclusion([{ layer: 'a/b' }]), names)).toEqual(['a/b/w']);
  });

  it('with a model, by its weights alone; other names are saved', () => {
    const ofLayer = (layer: string) => new Set(layer === 'net' ? ['conv_1/kernel', 'net/w'] : []);
    const exclusion = new Exclusion([{ layer: 'net' }], ofLayer);
    const names = [...NAMES, 'net/w', 'net/other'];
    expect(excludedBy(exclusion, names)).toEqual(['conv_1/kernel', 'net/w']);
    const config = JSON.parse(JSON.stringify(exclusion.toConfig(names)));
    expect(config.names).toEqual([{ name: 'conv_1/kernel' }]);
    expect(excludedBy(Exclusion.fromConfig(config), [...NAMES, 'net/w'])).toEqual(['conv_1/kernel', 'net/w']);
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
