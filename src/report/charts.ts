/** The charts of a report, as Vega-Lite specifications. */

import type { LearnedNumber } from '../learn/learned_numbers.js';
import type { ConstraintReport } from '../variables/constraint_report.js';
import type { Contents, Series } from './contents.js';

/** A chart and what it tells, which is also its text for those who cannot see it. */
export interface Chart {
  title: string;
  caption: string;
  spec: object;
}

const WIDTH = 520;
const LINE_HEIGHT = 240;
/** Height of a variable's row in a chart, in pixels. */
const STEP = 16;
/** Colours that differ in lightness too (Okabe and Ito's). */
const BAR = '#56b4e9';
const TICK = '#d55e00';
const LINES = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#000000', '#e69f00', '#56b4e9'];

/** All charts that the contents give something for. */
export function chartsOf({ constraints, learned, history }: Contents): Chart[] {
  const held = constraints.filter(({ excluded }) => !excluded);
  return [
    ...distances(held),
    ...fractions(held),
    ...boundaries(held),
    ...learnedNumbers(learned),
    ...(history === null ? [] : histories(history)),
  ];
}

interface Column {
  value(report: ConstraintReport): number | null | undefined;
  name: string;
}

/** A bar and a tick per variable. */
function bars(
  reports: readonly ConstraintReport[],
  bar: Column,
  tick: Column,
  { axis, domain }: { axis: string; domain?: [number, number] },
): object | null {
  const values = reports.flatMap((report) => {
    const row = { variable: report.name, bar: bar.value(report), tick: tick.value(report) };
    return Number.isFinite(row.bar) || Number.isFinite(row.tick) ? [row] : [];
  });
  if (values.length === 0) return null;
  const y = { field: 'variable', type: 'nominal', sort: null, axis: { title: null, labelLimit: 260 } };
  const x = { type: 'quantitative', title: axis, ...(domain === undefined ? {} : { scale: { domain } }) };
  const tooltip = [
    { field: 'variable', type: 'nominal' },
    { field: 'bar', type: 'quantitative', format: '.4~g', title: bar.name },
    { field: 'tick', type: 'quantitative', format: '.4~g', title: tick.name },
  ];
  const color = (name: string) => ({
    datum: name,
    scale: { domain: [bar.name, tick.name], range: [BAR, TICK] },
    legend: { title: null, orient: 'top', symbolType: 'square' },
  });
  return {
    data: { values },
    width: WIDTH,
    height: { step: STEP },
    encoding: { y, tooltip },
    layer: [
      { mark: { type: 'bar' }, encoding: { x: { ...x, field: 'bar' }, color: color(bar.name) } },
      {
        mark: { type: 'tick', thickness: 3, size: STEP - 3 },
        encoding: { x: { ...x, field: 'tick' }, color: color(tick.name) },
      },
    ],
  };
}

const chart = (title: string, caption: string, spec: object | null): Chart[] =>
  spec === null ? [] : [{ title, caption, spec }];

/** FTP calls the radius gamma; with `fixedRadius` it is given. */
const radiusOf = ({ gamma, radius }: ConstraintReport) => gamma ?? radius;

function distances(reports: readonly ConstraintReport[]): Chart[] {
  const spec = bars(
    reports,
    { name: 'distance', value: ({ norm }) => norm },
    { name: 'gamma', value: radiusOf },
    { axis: 'norm' },
  );
  return chart(
    'Distance from the anchor',
    'The bar is the distance of the row that went furthest. The tick is the radius of the ball (gamma), which no row can leave. ' +
      'Distances are sums of absolute differences along a row, so that longer rows have larger ones.',
    spec,
  );
}

function fractions(reports: readonly ConstraintReport[]): Chart[] {
  const by = (value: number | null | undefined, { anchorNorm }: ConstraintReport) =>
    anchorNorm && typeof value === 'number' ? value / anchorNorm : null;
  const spec = bars(
    reports,
    { name: 'distance', value: (report) => by(report.norm, report) },
    { name: 'gamma', value: (report) => by(radiusOf(report), report) },
    { axis: 'fraction of the mean norm of the anchor’s rows' },
  );
  return chart(
    'The same as a fraction of the anchor',
    'What was above, divided by the mean norm of the rows of the pre-trained weights: variables of different sizes compare. ' +
      'A variable whose anchor is zero is left out.',
    spec,
  );
}

function boundaries(reports: readonly ConstraintReport[]): Chart[] {
  const spec = bars(
    reports,
    { name: 'rows at the boundary', value: ({ atBoundary }) => atBoundary },
    { name: 'mean ratio', value: ({ meanRatio }) => meanRatio },
    { axis: 'share', domain: [0, 1] },
  );
  return chart(
    'Rows at the boundary',
    'The bar is the share of rows that the last step cut back to the ball. The tick is what rows keep of their deviation in ' +
      'the mean: 1 says that nothing was cut. Long bars with a loss that is still too high say that the ball is what limits.',
    spec,
  );
}

function learnedNumbers(learned: readonly LearnedNumber[]): Chart[] {
  const values = learned.flatMap(({ name, variable, value, start }) => {
    const ratio = value / start;
    const number = variable === null ? name : `${name} of ${variable}`;
    return Number.isFinite(ratio) && ratio > 0 ? [{ number, ratio, value, start }] : [];
  });
  if (values.length === 0) return [];
  const x = {
    field: 'ratio',
    type: 'quantitative',
    scale: { type: 'log' },
    axis: { title: 'value / start', format: '~g' },
  };
  const spec = {
    data: { values },
    width: WIDTH,
    height: { step: STEP },
    encoding: {
      y: { field: 'number', type: 'nominal', sort: null, axis: { title: null, labelLimit: 260 } },
      tooltip: [
        { field: 'number', type: 'nominal' },
        { field: 'start', type: 'quantitative', format: '.4~g' },
        { field: 'value', type: 'quantitative', format: '.4~g' },
      ],
    },
    layer: [
      {
        mark: { type: 'rule', color: BAR, strokeWidth: 3 },
        encoding: { x, x2: { datum: 1 } },
      },
      { mark: { type: 'point', filled: true, size: 70, color: TICK }, encoding: { x } },
    ],
  };
  return chart(
    'Learned numbers',
    'How far each number that is learned has gone from where it started: 1 is the start.',
    spec,
  );
}

const RATES = ['learningRate', 'learning_rate', 'lr'];

function histories({ axis, at, series }: Series): Chart[] {
  const kind = (name: string) => (RATES.includes(name) ? 'rate' : /loss/i.test(name) ? 'loss' : 'metric');
  const lines = (wanted: string, title: string, caption: string, log: boolean): Chart[] => {
    const values = Object.entries(series)
      .filter(([name]) => kind(name) === wanted)
      .flatMap(([name, numbers]) =>
        numbers.map((value, i) => ({
          series: name,
          at: at[i] as number,
          value: log && !((value as number) > 0) ? null : value,
        })),
      );
    if (values.every(({ value }) => value === null)) return [];
    const names = [...new Set(values.map(({ series: name }) => name))];
    return chart(title, caption, {
      data: { values },
      width: WIDTH,
      height: LINE_HEIGHT,
      mark: { type: 'line', strokeWidth: 2, point: at.length <= 60, invalid: 'break-paths-show-domains' },
      encoding: {
        x: {
          field: 'at',
          type: 'quantitative',
          title: axis,
          axis: { tickMinStep: 1, grid: false },
          scale: { zero: false },
        },
        y: {
          field: 'value',
          type: 'quantitative',
          title: names.length === 1 ? names[0] : null,
          axis: { format: '~g' },
          scale: log ? { type: 'log' } : { zero: false },
        },
        color: {
          field: 'series',
          type: 'nominal',
          sort: null,
          scale: { domain: names, range: LINES },
          legend: names.length === 1 ? null : { title: null, orient: 'top' },
        },
        tooltip: [
          { field: 'series', type: 'nominal' },
          { field: 'at', type: 'quantitative', title: axis },
          { field: 'value', type: 'quantitative', format: '.4~g' },
        ],
      },
    });
  };
  return [
    ...lines('loss', 'Loss', `Losses by ${axis}.`, false),
    ...lines('metric', 'Metrics', `Metrics by ${axis}.`, false),
    ...lines('rate', 'Learning rate', `The learning rate by ${axis}, on a logarithmic axis.`, true),
  ];
}
