/** The picture: accuracy over the learning rate, AdamW against FTP, as SVG. */

import { drawSvg } from '../tools/vega_svg.js';
import type { Row } from './comparison.js';

interface Point {
  method: string;
  rate: number;
  accuracy: number;
}

function points(rows: readonly Row[], accuracy: (row: Row) => number): Point[] {
  return rows.map((row) => ({ method: row.label, rate: row.learningRate, accuracy: 100 * accuracy(row) }));
}

/** A label and where it stands above (negative) or below its point, in pixels. */
interface Label extends Point {
  offset: number;
}

const HEIGHT = 320;
/** From a point's middle to its label's. */
const LABEL_DISTANCE = 13;

/**
 * At each rate the label of the highest point stands above it, the others below theirs, each at least a line of text
 * under the one before.
 */
function placeLabels(points: readonly Point[], pixelsPerPoint: number): Label[] {
  return [...new Set(points.map(({ rate }) => rate))].flatMap((rate) => {
    const column = points.filter((point) => point.rate === rate).sort((a, b) => b.accuracy - a.accuracy);
    let last = -Infinity;
    return column.map((point, i) => {
      const y = -pixelsPerPoint * point.accuracy;
      last = Math.max(y + (i === 0 ? -LABEL_DISTANCE : LABEL_DISTANCE), last + LABEL_DISTANCE);
      return { ...point, offset: last - y };
    });
  });
}

/** One line per method and measure: thick with points for OOD, thin and dashed for ID. */
function layers(rows: readonly Row[]) {
  const rates = [...new Set(rows.map((row) => row.learningRate))].sort((a, b) => a - b);
  const [lowest, highest] = [rates[0] as number, rates.at(-1) as number];
  const ood = points(rows, (row) => row.meanOod);
  const id = points(rows, (row) => row.id);
  const worst = Math.min(...[...ood, ...id].map((point) => point.accuracy));
  const top = 101;
  // Room for a label under the lowest point.
  const bottom = Math.max(0, Math.floor(worst - Math.max(2, 0.1 * (top - worst))));
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
    scale: { domain: [bottom, top], nice: false },
    axis: { title: 'accuracy, %', tickMinStep: 2 },
  };
  const color = {
    field: 'method',
    type: 'nominal',
    scale: { domain: [...new Set(rows.map((row) => row.label))], range: ['#d95f02', '#1b6ca8', '#444444'] },
    legend: { title: null, orient: 'top' },
  };
  const labels = placeLabels(ood, HEIGHT / (top - bottom));
  const text = (mark: Record<string, unknown>) => ({
    data: { values: labels },
    mark: { type: 'text', yOffset: { expr: 'datum.offset' }, fontSize: 11, ...mark },
    encoding: { x, y, color, text: { field: 'accuracy', format: '.1f' } },
  });
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
    // A white rim, so that lines that pass behind leave the numbers readable.
    text({ stroke: 'white', strokeWidth: 4, strokeJoin: 'round' }),
    text({}),
  ];
}

/**
 * Draws the sweep.
 *
 * @param rows one row per method and learning rate
 * @returns the picture as SVG text
 */
export function drawSweep(rows: readonly Row[]): Promise<string> {
  return drawSvg({
    title: {
      text: 'Out-of-distribution accuracy (thick) over the learning rate',
      subtitle: 'thin dashed: in-distribution accuracy',
    },
    width: 460,
    height: HEIGHT,
    layer: layers(rows),
  });
}
