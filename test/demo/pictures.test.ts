// The pictures of the demo and of the benchmark, by what stands in their SVG text.
import { describe, expect, it } from 'vitest';
import { drawSweep } from '../../demo/chart.js';
import type { Row } from '../../demo/comparison.js';

/** Texts of a picture and where they stand, in pixels of their group. */
function textsOf(svg: string): { text: string; x: number; y: number }[] {
  return [
    ...svg.matchAll(/<text [^>]*transform="translate\(([-\d.]+),([-\d.]+)\)"[^>]*>([^<]+)<\/text>/g),
  ].map(([, x, y, text]) => ({ text: text as string, x: Number(x), y: Number(y) }));
}

describe('the sweep', () => {
  it.each([
    ['far apart', [0.95, 0.305]],
    ['2.4 points apart', [0.803, 0.827]],
    ['level', [0.9, 0.9]],
    ['three close together', [0.9, 0.901, 0.899]],
  ])('has labels that do not touch: %s', async (_name, accuracies) => {
    const rows = accuracies.flatMap((meanOod, i) =>
      [1e-3, 1e-2].map((learningRate) => ({ label: `method ${i}`, learningRate, meanOod, id: 0.3 }) as Row),
    );
    // Each number twice: with its white rim, then alone.
    const labels = textsOf(await drawSweep(rows)).filter(({ text }) => /^\d+\.\d$/.test(text));
    expect(labels).toHaveLength(4 * accuracies.length);
    const columns = new Map<number, Set<number>>();
    for (const { x, y } of labels) columns.set(x, (columns.get(x) ?? new Set()).add(y));
    expect(columns.size).toBe(2);
    for (const ys of columns.values()) {
      const sorted = [...ys].sort((a, b) => a - b);
      expect(sorted).toHaveLength(accuracies.length);
      for (let i = 1; i < sorted.length; ++i) {
        expect((sorted[i] as number) - (sorted[i - 1] as number)).toBeGreaterThanOrEqual(12.9);
      }
    }
  });
});
