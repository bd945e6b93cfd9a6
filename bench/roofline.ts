/**
 * The roofline chart. Left: GFLOP/s over FLOP per byte, both in logarithms, under the roofs of memory (rising) and of
 * arithmetic (flat). All contenders lie close together there, far below the arithmetic; right: their bandwidth one by one,
 * fastest first, with the spread from the fastest sample to the slowest and the roofs of memory as lines.
 */

import { drawSvg } from '../tools/vega_svg.js';
import { BYTES_NOTE, type Roof, type RooflinePanel, type RooflinePoint } from './roofs.js';

const COLORS: Record<string, string> = {
  'ftp-adamw': '#1b6ca8',
  'ftp-adamw-amsgrad': '#6baed6',
  'ftp-adamw-decay': '#54278f',
  'ftp-sgd-momentum': '#2ca25f',
  projection: '#8c6d31',
  adamw: '#d95f02',
};
const SHAPES: Record<string, string> = { rows: 'circle', columns: 'triangle-up', any: 'square' };

/** By a roof's place in its panel. */
const DASHES = [
  { name: 'solid', strokeDash: [1, 0] },
  { name: 'dashed', strokeDash: [7, 4] },
  { name: 'dotted', strokeDash: [2, 3] },
] as const;
const CHART_WIDTH = 330;
const ROW_HEIGHT = 24;
const MIN_HEIGHT = 220;
const MAX_ROOFLINE_HEIGHT = 400;

function roofStyle(index: number) {
  const { strokeDash } = dashOf(index);
  return { strokeWidth: 1.5, color: '#333333', strokeDash };
}

function dashOf(index: number): (typeof DASHES)[number] {
  return DASHES[index % DASHES.length] as (typeof DASHES)[number];
}

/** Three digits, or all before the point. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function roofText({ label, kind, value, measured }: Roof): string {
  const unit = kind === 'memory' ? 'GB/s' : 'GFLOP/s';
  return `${label}${measured ? ', measured' : ''}: ${rounded(value)} ${unit}`;
}

/** Scales of optimizer and layout, the same in all panels; only what occurs has an entry in the legend. */
function marks(panels: readonly RooflinePanel[]) {
  const points = panels.flatMap((panel) => panel.points);
  const used = (known: Record<string, string>, value: (point: RooflinePoint) => string) =>
    Object.keys(known).filter((name) => points.some((point) => value(point) === name));
  const optimizers = used(COLORS, ({ optimizer }) => optimizer);
  const layouts = used(SHAPES, ({ layout }) => layout);
  return {
    color: {
      field: 'optimizer',
      type: 'nominal',
      scale: { domain: optimizers, range: optimizers.map((name) => COLORS[name]) },
      legend: { orient: 'top', title: null, columns: 6 },
    },
    shape: {
      field: 'layout',
      type: 'nominal',
      scale: { domain: layouts, range: layouts.map((name) => SHAPES[name]) },
      legend: { orient: 'top', title: null },
    },
  };
}

/** Bounds of the logarithmic picture: every point, and where the roofs meet if the peak is known. */
function bounds({ points, roofs }: RooflinePanel) {
  const memory = roofs.filter(({ kind }) => kind === 'memory').map(({ value }) => value);
  const peak = roofs.find(({ kind }) => kind === 'arithmetic')?.value;
  const widest = Math.max(...memory, ...points.map(({ gigabytes }) => gigabytes));
  const right = peak === undefined ? 2 : Math.max(2, (4 * peak) / Math.min(widest, ...memory));
  const left = 0.1;
  const lowest = Math.min(
    ...points.map(({ gigaflops }) => gigaflops),
    ...memory.map((value) => value * left),
  );
  return { left, right, bottom: lowest / 2, top: 2 * Math.min(peak ?? Infinity, widest * right) };
}

/** A roof as the two ends of its line; memory's ends where it meets the arithmetic. */
function roofLine(roof: Roof, { left, right }: { left: number; right: number }, peak: number) {
  const name = roofText(roof);
  if (roof.kind === 'arithmetic') {
    return [left, right].map((intensity) => ({ name, intensity, gigaflops: roof.value }));
  }
  const end = Math.min(right, peak / roof.value);
  return [left, end].map((intensity) => ({ name, intensity, gigaflops: roof.value * intensity }));
}

function rooflineChart(panel: RooflinePanel, { color, shape }: ReturnType<typeof marks>, height: number) {
  const area = bounds(panel);
  const peak = panel.roofs.find(({ kind }) => kind === 'arithmetic')?.value ?? Infinity;
  const x = {
    field: 'intensity',
    type: 'quantitative',
    scale: { type: 'log', domain: [area.left, area.right], nice: false },
    axis: { title: 'FLOP per byte', format: '~g', tickCount: 4 },
  };
  const y = {
    field: 'gigaflops',
    type: 'quantitative',
    scale: { type: 'log', domain: [area.bottom, area.top], nice: false },
    axis: { title: 'GFLOP/s', format: '~s', tickCount: 4 },
  };
  const lines = panel.roofs.map((roof) => roofLine(roof, area, peak));
  return {
    width: CHART_WIDTH,
    height,
    layer: [
      ...lines.map((values, i) => ({
        data: { values },
        mark: { type: 'line', ...roofStyle(i), clip: true },
        encoding: { x, y },
      })),
      {
        data: { values: panel.points },
        mark: { type: 'point', filled: true, size: 70, opacity: 0.85 },
        encoding: { x, y, color, shape },
      },
    ],
  };
}

/** Bandwidths one below the other, and the roofs of memory as lines across, named below the axis. */
function bandwidthChart(panel: RooflinePanel, { color, shape }: ReturnType<typeof marks>, height: number) {
  const roofs = panel.roofs.filter(({ kind }) => kind === 'memory');
  const best = Math.max(...panel.points.map(({ gigabytesBest }) => gigabytesBest));
  const domain = [0, 1.05 * Math.max(best, ...roofs.map(({ value }) => value))];
  const measuredRoof = roofs.find(({ measured }) => measured);
  const values = [...panel.points]
    .sort((a, b) => b.gigabytes - a.gigabytes)
    .map((point) => {
      const share =
        measuredRoof === undefined
          ? ''
          : `, ${(point.gigabytes / measuredRoof.value).toFixed(2)} of ${measuredRoof.label}`;
      return { ...point, row: `${point.label}: ${rounded(point.gigabytes)} GB/s${share}` };
    });
  const x = (field: string) => ({
    field,
    type: 'quantitative',
    scale: { domain, nice: false },
    axis: {
      title: ['GB/s', ...panel.roofs.map((roof, i) => `${dashOf(i).name}: ${roofText(roof)}`)],
    },
  });
  const y = {
    field: 'row',
    type: 'nominal',
    sort: null,
    axis: { title: null, orient: 'right', labelLimit: 700, ticks: false, domain: false, grid: true },
  };
  return {
    width: CHART_WIDTH,
    height,
    layer: [
      ...roofs.map((roof) => ({
        data: { values: [{ gigabytes: roof.value }] },
        mark: { type: 'rule', ...roofStyle(panel.roofs.indexOf(roof)) },
        encoding: { x: x('gigabytes') },
      })),
      {
        data: { values },
        mark: { type: 'rule', opacity: 0.5 },
        encoding: { x: x('gigabytesWorst'), x2: { field: 'gigabytesBest' }, y, color },
      },
      {
        data: { values },
        mark: { type: 'point', filled: true, size: 70, opacity: 1 },
        encoding: { x: x('gigabytes'), y, color, shape },
      },
    ],
  };
}

/**
 * @param panels at least one
 * @param source machine, commit and date, below the title
 * @returns the picture as SVG text
 */
export function drawRoofline(panels: readonly RooflinePanel[], source: string): Promise<string> {
  const encodings = marks(panels);
  return drawSvg({
    config: { legend: { layout: { top: { direction: 'horizontal', margin: 30 } } } },
    title: {
      text: 'Roofline of the native step',
      subtitle: [source, BYTES_NOTE],
      anchor: 'start',
    },
    vconcat: panels.map((panel) => {
      const height = Math.max(MIN_HEIGHT, ROW_HEIGHT * panel.points.length);
      return {
        title: { text: panel.title, anchor: 'start', fontSize: 12 },
        hconcat: [
          rooflineChart(panel, encodings, Math.min(height, MAX_ROOFLINE_HEIGHT)),
          bandwidthChart(panel, encodings, height),
        ],
      };
    }),
  });
}
