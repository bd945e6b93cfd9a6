import { expect, it } from 'vitest';
import {
  CORRUPTIONS,
  type Corruption,
  corrupt,
  FAMILIES,
  type Picture,
  SEVERITIES,
} from '../../experiments/corruptions.js';
import { Random } from '../../tools/random.js';

/** A disk with a pattern on a grey ground: on white, what makes brighter would change nothing. */
function picture(size = 64): Picture {
  const data = new Uint8Array(3 * size * size);
  for (let y = 0, i = 0; y < size; ++y) {
    for (let x = 0; x < size; ++x, i += 3) {
      const inside = Math.hypot(y - size / 2, x - size / 2) < size / 3;
      data.set(inside ? [200, 40 + 20 * ((x >> 2) % 3), 60 + 30 * ((y >> 2) % 2)] : [120, 120, 115], i);
    }
  }
  return { data, height: size, width: size };
}

/** Mean absolute difference in values of 255. */
function difference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] as number)), 0) / a.length;
}

const spoilt = (kind: Corruption, severity: (typeof SEVERITIES)[number], seed = 1) =>
  corrupt(picture(), kind, severity, new Random(seed));

it('has the fifteen usual ones in their four families', () => {
  expect(CORRUPTIONS).toHaveLength(15);
  expect(Object.values(FAMILIES).map((kinds) => kinds.length)).toEqual([3, 4, 4, 4]);
});

it.each(CORRUPTIONS)('%s spoils more with each severity, and the same with the same chance', async (kind) => {
  const original = picture();
  const all = await Promise.all(SEVERITIES.map((severity) => spoilt(kind, severity)));
  for (const image of all) expect(image).toHaveLength(original.data.length);
  const amounts = all.map((image) => difference(image, original.data));
  expect(amounts[0]).toBeGreaterThan(0.1);
  expect(amounts[4]).toBeGreaterThan(1.1 * (amounts[0] as number));
  // Neighbours may be close, such as frost's, which keep less of the image and add more ice.
  for (let i = 1; i < 5; ++i) expect(amounts[i]).toBeGreaterThan(0.85 * (amounts[i - 1] as number));
  expect(await spoilt(kind, 3)).toEqual(all[2]);
  expect(picture().data).toEqual(original.data);
});

it.each([
  'gaussian noise',
  'shot noise',
  'impulse noise',
  'glass blur',
  'motion blur',
  'snow',
  'frost',
  'fog',
  'elastic',
] as const)('%s is another picture by another chance', async (kind) => {
  expect(difference(await spoilt(kind, 5), await spoilt(kind, 5, 2))).toBeGreaterThan(0.1);
});

it('has the noise that it says', async () => {
  const grey = { data: new Uint8Array(3 * 64 * 64).fill(128), height: 64, width: 64 };
  const deviation = (image: Uint8Array) => {
    const mean = image.reduce((sum, value) => sum + value, 0) / image.length;
    return Math.sqrt(image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / image.length) / 255;
  };
  expect(deviation(await corrupt(grey, 'gaussian noise', 3, new Random(3)))).toBeCloseTo(0.12, 2);
  // Poisson: sqrt(mean / photons), at means below and above where a normal number takes its place.
  for (const [severity, photons] of [
    [1, 250],
    [3, 50],
    [5, 15],
  ] as const) {
    const found = deviation(await corrupt(grey, 'shot noise', severity, new Random(3)));
    expect(found / Math.sqrt(128 / 255 / photons)).toBeCloseTo(1, 1);
  }
  const flipped = await corrupt(grey, 'impulse noise', 5, new Random(3));
  expect(flipped.filter((value) => value !== 128).length / flipped.length).toBeCloseTo(0.14, 2);
});

it('blurs, and shrinks contrast, around what was there', async () => {
  const flat = { data: new Uint8Array(3 * 32 * 24).fill(90), height: 32, width: 24 };
  for (const kind of [
    'defocus blur',
    'glass blur',
    'motion blur',
    'zoom blur',
    'contrast',
    'elastic',
    'pixelate',
  ] as const) {
    expect(difference(await corrupt(flat, kind, 5, new Random(1)), flat.data), kind).toBeLessThanOrEqual(1);
  }
  const image = await corrupt(picture(), 'contrast', 5, new Random(1));
  const mean = (data: Uint8Array) => data.reduce((sum, value) => sum + value, 0) / data.length;
  expect(mean(image)).toBeCloseTo(mean(picture().data), 0);
});

it('refuses what is no picture or no corruption', async () => {
  const small = { data: new Uint8Array(3), height: 1, width: 1 };
  await expect(corrupt(small, 'fog', 1, new Random(1))).rejects.toThrow(
    'picture must be RGB of at least 8 by 8 pixels, got 3 bytes for 1 by 1',
  );
  await expect(corrupt(picture(), 'rain' as never, 1, new Random(1))).rejects.toThrow(
    'kind must be one of gaussian noise, shot noise',
  );
});
