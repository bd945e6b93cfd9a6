/** The picture: accuracy over the learning rate, AdamW against FTP, as SVG. */
import type { Row } from './comparison.js';
import { drawSvg } from './vega_svg.js';

interface Point {
  method: string;
  rate: number;
  accuracy: number;
}

function points(rows: readonly Row[], accuracy: (row: Row) => number): Point[] {
  return rows.map((row) => ({ method: row.label, rate: row.learningRate, accuracy: 100 * accuracy(row) }));
}

/** A line a method and measure: thick with points for OOD, thin and dashed for ID. */
function layers(rows: readonly Row[]) {
  const rates = [...new Set(rows.map((row) => row.learningRate))].sort((a, b) => a - b);
  const [lowest, highest] = [rates[0] as number, rates.at(-1) as number];
  const ood = points(rows, (row) => row.meanOod);
  const id = points(rows, (row) => row.id);
  const worst = Math.min(...[...ood, ...id].map((point) => point.accuracy));
  const x = {
    field: 'rate',
    type: 'quantitative',
    // Some room at both ends, in the log scale's own steps.
    scale: { type: 'log', domain: [lowest / 1.3, highest * 1.3], nice: false },
    axis: { title: 'learning rate', values: rates, format: '~g', grid: false },
  };
  const y = {
    field: 'accuracy',
    type: 'quantitative',
    scale: { domain: [Math.floor(worst - 2), 101], nice: false },
    axis: { title: 'accuracy, %', tickMinStep: 2 },
  };
  const color = {
    field: 'method',
    type: 'nominal',
    scale: { domain: [...new Set(rows.map((row) => row.label))], range: ['#d95f02', '#1b6ca8', '#444444'] },
    legend: { title: null, orient: 'top' },
  };
  return [
    {
      data: { values: id },
      mark: { type: 'line', strokeWidth: 1, strokeDash: [4, 3], point: { size: 12 } },
      encoding: { x, y, color },
    },
    {
      data: { values: ood },
      mark: { type: 'line', strokeWidth: 3, point: { size: 60 } },
      encoding: { x, y, color },
    },
    {
      data: { values: ood },
      mark: { type: 'text', dy: -12, fontSize: 11 },
      encoding: { x, y, color, text: { field: 'accuracy', format: '.1f' } },
    },
  ];
}

/**
 * Draws the sweep.
 *
 * @param rows one row a method and learning rate
 * @returns the picture as SVG text
 */
export function drawSweep(rows: readonly Row[]): Promise<string> {
  return drawSvg({
    title: {
      text: 'Out-of-distribution accuracy (thick) over the learning rate',
      subtitle: 'thin dashed: in-distribution accuracy',
    },
    width: 460,
    height: 320,
    layer: layers(rows),
  });
}
