/**
 * Tables and charts of the runs that are there. A task's page in docs/experiments is written by hand around blocks between
 * `<!-- begin NAME -->` and `<!-- end NAME -->`; what stands in the blocks is written anew.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drawMovement, drawRates, drawTrace } from './charts.js';
import { FAMILIES } from './corruptions.js';
import { isDrawn, METHOD_NAMES, type MethodName, methodOf, type Settings } from './methods.js';
import { Plan } from './series.js';
import {
  accuracyOf,
  bootstrap,
  type Interval,
  meanOf,
  type Selection,
  unitScores,
  verdict,
} from './statistics.js';
import type { Run, RunStore } from './store.js';
import type { Protocol, Task } from './task.js';

/** The runs of a method with its chosen settings, one per seed. */
export interface Chosen {
  method: MethodName;
  runs: Run[];
}

/** A Markdown table; the first column to the left, the others to the right. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const align = head.map((_, i) => (i === 0 ? '---' : '--:'));
  return [line(head), line(align), ...rows.map(line)].join('\n');
}

/**
 * Puts blocks into a page.
 *
 * @throws Error for a block that the page has no place for.
 */
export function fillBlocks(page: string, blocks: Readonly<Record<string, string>>): string {
  return Object.entries(blocks).reduce((text, [name, block]) => {
    const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
    const [before, rest] = text.split(begin);
    const after = rest?.split(end)[1];
    if (after === undefined) throw new Error(`the page has no block between '${begin}' and '${end}'`);
    return `${before}${begin}\n\n${block}\n\n${end}${after}`;
  }, page);
}

const percent = (share: number, digits = 1) => (100 * share).toFixed(digits);

function formatSettings({
  learningRate,
  warmup,
  headRate,
  strength,
  radius,
  constraintRate,
}: Settings): string {
  const parts = [`${learningRate}`];
  if (warmup > 0) parts.push('warm-up');
  if (headRate !== 1) parts.push(`head x${headRate}`);
  if (strength !== undefined) parts.push(`strength ${strength}`);
  if (radius !== undefined) parts.push(`radius ${radius}`);
  if (constraintRate !== undefined) parts.push(`constraint rate ${constraintRate}`);
  return parts.join(', ');
}

function meanOver({ runs }: Chosen, selection: Selection): number {
  return meanOf(runs.map((run) => accuracyOf(run, selection)));
}

/** Mean over the seeds, and how far the largest is from the least. */
function withSpread({ runs }: Chosen, selection: Selection): string {
  const values = runs.map((run) => accuracyOf(run, selection));
  return `${percent(meanOf(values))} (${percent(Math.max(...values) - Math.min(...values))})`;
}

function resultsTable(chosen: readonly Chosen[]): string {
  const most = Math.max(...chosen.map(({ runs }) => runs.length));
  const rows = chosen.map((one) => [
    one.runs.length < most
      ? `${methodOf(one.method).label} (${one.runs.length} seeds)`
      : methodOf(one.method).label,
    formatSettings((one.runs[0] as Run).key.settings),
    percent(meanOf(one.runs.map(({ validation }) => validation.mean))),
    withSpread(one, 'id'),
    percent(meanOver(one, 'shift')),
    percent(meanOver(one, 'corruption')),
    withSpread(one, 'ood'),
  ]);
  return markdownTable(
    ['', 'settings', 'validation', 'ID (spread)', 'shifted', 'corrupted', 'OOD (spread)'],
    rows,
  );
}

function domainsTable(chosen: readonly Chosen[]): string {
  const domains = chosen[0]?.runs[0]?.domains ?? [];
  const shifted = domains.filter(({ kind }) => kind === 'shift').map(({ name }) => name);
  const families = Object.entries(FAMILIES).filter(([, kinds]) =>
    kinds.every((kind) => domains.some(({ name }) => name === kind)),
  );
  const rows = chosen.map((one) => [
    methodOf(one.method).label,
    ...shifted.map((domain) => percent(meanOver(one, { domain }))),
    ...families.map(([, kinds]) => percent(meanOf(kinds.map((domain) => meanOver(one, { domain }))))),
  ]);
  return markdownTable(['', ...shifted, ...families.map(([family]) => family)], rows);
}

const signed = (share: number) => `${share >= 0 ? '+' : '−'}${percent(Math.abs(share))}`;

function formatDifference(interval: Interval): string {
  const word = verdict(interval);
  const text = `${signed(interval.value)} [${signed(interval.low)}, ${signed(interval.high)}] ${word}`;
  return word === 'level' ? text : `**${text}**`;
}

/** Each method less another, on the same examples. */
function differencesTable(chosen: readonly Chosen[], than: MethodName): string {
  const base = chosen.find(({ method }) => method === than);
  if (base === undefined) return 'No runs yet.';
  const difference = (one: Chosen, selection: Selection) =>
    formatDifference(bootstrap(unitScores(one.runs, selection), unitScores(base.runs, selection)));
  const rows = chosen
    .filter(({ method, runs }) => method !== than && runs.length === base.runs.length)
    .map((one) => [methodOf(one.method).label, difference(one, 'id'), difference(one, 'ood')]);
  return markdownTable([`less ${methodOf(than).label}`, 'ID', 'OOD'], rows);
}

function searchTable(tried: readonly Run[], chosen: readonly Chosen[]): string {
  const best = new Set(chosen.map(({ runs }) => runs[0]));
  const rows = tried.map((run) => [
    methodOf(run.key.method as MethodName).label,
    formatSettings(run.key.settings),
    percent(run.validation.mean),
    run.validation.loss?.toFixed(3) ?? 'none',
    [best.has(run) ? 'chosen' : '', run.divergedAt === undefined ? '' : `diverged at step ${run.divergedAt}`]
      .filter((text) => text !== '')
      .join(', '),
  ]);
  return markdownTable(['', 'settings', 'validation, %', 'loss', ''], rows);
}

/** What was run, from the runs themselves. */
function protocolText(protocol: Protocol, chosen: readonly Chosen[]): string {
  const { steps, batchSize, severities, ...rest } = protocol;
  const more = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  const runs = chosen.flatMap((one) => one.runs);
  const seeds = [...new Set(runs.map(({ key }) => key.seed))].sort();
  const left = new Map(runs.flatMap((run) => run.leftOut.map(({ name, reason }) => [name, reason] as const)));
  const implementations = [...new Set(runs.map(({ environment }) => environment.implementation))].join(', ');
  const lines = [
    `- ${steps} steps of ${batchSize}; severities ${severities.join(', ')}; ${more.join(', ')}`,
    `- seeds ${seeds.join(', ')}; optimizer step: ${implementations}`,
    ...[...left].map(([name, reason]) => `- left out: ${name}, ${reason}`),
  ];
  return lines.join('\n');
}

/**
 * Writes the report of a task.
 *
 * @param out the folder of the pages; charts go into `images` in it.
 * @returns the files that were written.
 * @throws Error if there are no runs, or the page lacks a block.
 */
export async function writeReport(
  task: Task,
  store: RunStore,
  protocol: Protocol,
  seeds: number,
  out: string,
): Promise<string[]> {
  const plan = new Plan(task, protocol);
  const tried: Run[] = [];
  const traced: Run[] = [];
  const chosen: Chosen[] = [];
  for (const method of METHOD_NAMES) {
    const { grid, extra } = plan.firstSeed(method, true);
    const found = (keys: typeof grid) =>
      Promise.all(keys.map((key) => store.find(key))).then((runs) => runs.filter((run) => run !== undefined));
    const own = await found(grid);
    tried.push(...own);
    traced.push(...[...own, ...(await found(extra))].filter(({ key }) => isDrawn(method, key.settings)));
    const best = await plan.chosen(method, store);
    if (best === undefined) continue;
    const others = await Promise.all(
      Array.from({ length: seeds - 1 }, (_, i) => store.find(plan.key(method, best.key.settings, i + 2))),
    );
    const runs = [
      tried.find((run) => JSON.stringify(run.key) === JSON.stringify(best.key)) as Run,
      ...others,
    ];
    chosen.push({ method, runs: runs.filter((run) => run !== undefined) });
  }
  if (chosen.length === 0) throw new Error(`there are no runs of ${task.name} with these settings`);
  const byOod = [...chosen].sort((a, b) => meanOver(b, 'ood') - meanOver(a, 'ood'));
  const images = join(out, 'images');
  await mkdir(images, { recursive: true });
  const charts: Record<string, string> = { movement: await drawMovement(chosen) };
  if (traced.length > 0) {
    charts.trace = await drawTrace(traced);
    charts.rates = await drawRates(traced);
  }
  const files: string[] = [];
  for (const [name, svg] of Object.entries(charts)) {
    const file = join(images, `${task.name}_${name}.svg`);
    await writeFile(file, `${svg}\n`);
    files.push(file);
  }
  const page = join(out, `${task.name}.md`);
  const blocks = {
    protocol: protocolText(protocol, chosen),
    results: resultsTable(byOod),
    domains: domainsTable(byOod),
    'less adamw': differencesTable(byOod, 'adamw'),
    'less ftp': differencesTable(byOod, 'ftp'),
    search: searchTable(tried, chosen),
  };
  await writeFile(page, fillBlocks(await readFile(page, 'utf8'), blocks));
  return [...files, page];
}
