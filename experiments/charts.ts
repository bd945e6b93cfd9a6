/** The pictures of a report. */
import { drawSvg } from '../tools/vega_svg.js';
import { type MethodName, methodOf } from './methods.js';
import type { Chosen } from './report.js';
import { accuracyOf, meanOf } from './statistics.js';
import type { Run } from './store.js';

interface Point {
  method: string;
  recipe: string;
  rate: number;
  id: number;
  ood: number;
}

const WITH = 'with warm-up';
const WITHOUT = 'without';

function points(runs: readonly Run[]): Point[] {
  return runs.map((run) => ({
    method: methodOf(run.key.method as MethodName).label,
    recipe: run.key.settings.warmup > 0 ? WITH : WITHOUT,
    rate: run.key.settings.learningRate,
    id: 100 * accuracyOf(run, 'id'),
    ood: 100 * accuracyOf(run, 'ood'),
  }));
}

const COLOURS = ['#d95f02', '#1b6ca8', '#2a8f5b', '#7a4fa3', '#444444'];

function color(methods: readonly string[]) {
  return {
    field: 'method',
    type: 'nominal',
    scale: { domain: methods, range: COLOURS },
    legend: { title: null, orient: 'top', symbolType: 'circle', symbolStrokeWidth: 0 },
  };
}

const dash = {
  field: 'recipe',
  type: 'nominal',
  scale: {
    domain: [WITH, WITHOUT],
    range: [
      [1, 0],
      [5, 4],
    ],
  },
  legend: { title: null, orient: 'top' },
};

const accuracy = (field: 'id' | 'ood') => ({
  field,
  type: 'quantitative',
  scale: { zero: false },
  axis: { title: `${field === 'id' ? 'in' : 'out of'} distribution, %` },
});

/** Accuracy out of distribution against that in distribution, a line per method through its learning rates. */
export function drawTrace(runs: readonly Run[]): Promise<string> {
  const values = points(runs);
  const methods = [...new Set(values.map(({ method }) => method))];
  const [x, y] = [accuracy('id'), accuracy('ood')];
  return drawSvg({
    title: {
      text: 'Out of distribution against in distribution',
      subtitle:
        'a line goes through the learning rates, from the lowest to the highest, which has the larger circle',
    },
    width: 560,
    height: 380,
    data: { values },
    layer: [
      {
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { x, y, color: color(methods), strokeDash: dash, order: { field: 'rate' } },
      },
      {
        mark: { type: 'point', filled: true, opacity: 1 },
        encoding: {
          x,
          y,
          color: color(methods),
          size: {
            field: 'rate',
            type: 'quantitative',
            scale: { type: 'log', range: [20, 160] },
            legend: null,
          },
        },
      },
    ],
  });
}

/** Accuracy out of distribution over the learning rate, with and without a warm-up. */
export function drawRates(runs: readonly Run[]): Promise<string> {
  const values = points(runs);
  const methods = [...new Set(values.map(({ method }) => method))];
  const rates = [...new Set(values.map(({ rate }) => rate))].sort((a, b) => a - b);
  return drawSvg({
    title: 'Accuracy out of distribution over the learning rate',
    width: 560,
    height: 300,
    data: { values },
    mark: { type: 'line', strokeWidth: 2, point: { size: 50 } },
    encoding: {
      x: {
        field: 'rate',
        type: 'quantitative',
        scale: { type: 'log', nice: false },
        axis: { title: 'learning rate', values: rates, format: '~g' },
      },
      y: accuracy('ood'),
      color: color(methods),
      strokeDash: dash,
    },
  });
}

/** Parts of a net by the first two words of their layers' names, such as `block_3`. */
function partOf(kernel: string): string {
  return kernel.split('/')[0]?.split('_').slice(0, 2).join('_') ?? kernel;
}

/** How far the kernels of each part of the net went, by method. */
export function drawMovement(chosen: readonly Chosen[]): Promise<string> {
  const shown: MethodName[] = ['adamw', 'l2sp', 'spd', 'ftp', 'lpft'];
  const values = chosen
    .filter(({ method }) => shown.includes(method))
    .flatMap(({ method, runs }) => {
      const kernels = Object.keys(runs[0]?.moved ?? {});
      return [...new Set(kernels.map(partOf))].map((part, depth) => ({
        method: methodOf(method).label,
        part,
        depth,
        moved:
          100 *
          meanOf(
            runs.flatMap((run) =>
              kernels.filter((kernel) => partOf(kernel) === part).map((kernel) => run.moved[kernel] ?? 0),
            ),
          ),
      }));
    });
  const methods = [...new Set(values.map(({ method }) => method))];
  return drawSvg({
    title: 'How far kernels went from their pre-trained values',
    width: 560,
    height: 280,
    data: { values },
    mark: { type: 'line', strokeWidth: 2, point: { size: 40 } },
    encoding: {
      x: { field: 'part', type: 'nominal', sort: { field: 'depth' }, axis: { title: null, labelAngle: -30 } },
      y: {
        field: 'moved',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: 'mean |W - A| / |A|, %' },
      },
      color: color(methods),
    },
  });
}
