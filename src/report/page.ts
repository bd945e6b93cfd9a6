/** The page itself: HTML that needs nothing else. */

import { type Chart, chartsOf } from './charts.js';
import type { Contents } from './contents.js';
import type { Library } from './vega.js';

/** Vega makes functions of its expressions, so scripts may do that; nothing may ask anything of a network. */
const POLICY = [
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval'",
  "style-src 'unsafe-inline'",
  'img-src data:',
].join('; ');

const STYLE = `
:root { color-scheme: light; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; } dt { color: #555; } dd { margin: 0; }
figure { margin: 0; } figcaption { max-width: 44rem; color: #444; font-size: .9rem; margin-bottom: .6rem; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid #0072b2; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #888; }
pre { overflow-x: auto; background: #f5f5f5; padding: .8rem; font-size: .8rem; }
.problem { color: #a40000; }`;

/** What draws in the page; it stands there as text. */
const DRAW = `
const charts = JSON.parse(document.getElementById('charts').textContent);
for (const [i, spec] of charts.entries()) {
  const place = document.getElementById('chart-' + i);
  const failed = (error) => {
    place.className = 'problem';
    place.textContent = 'This chart could not be drawn: ' + error;
  };
  try {
    const { spec: compiled } = vegaLite.compile(spec, { config: { view: { stroke: null } } });
    const view = new vega.View(vega.parse(compiled), { renderer: 'svg', container: place, hover: true });
    view.runAsync().then(() => (place.dataset.drawn = 'yes'), failed);
  } catch (error) {
    failed(error);
  }
}`;

const ENTITIES: { [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escapeText = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);

/** JSON for a script element, which ends at the first `</script` whatever stands around it. */
const inScript = (value: unknown) => JSON.stringify(value).replaceAll('<', '\\u003c');

/** Code for a script element. Its source map lies in another file. */
const codeInScript = (code: string) =>
  code
    .replace(/^\/\/# sourceMappingURL=.*$/m, '')
    .replace(/<(?=\/script|!--)/gi, '\\x3c')
    .trim();

function format(value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number')
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return String(value);
}

/** A table of records; columns are the keys that any has. */
function tableOf(title: string, records: readonly object[]): string {
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const head = columns.map((column) => `<th scope="col">${escapeText(column)}</th>`).join('');
  const rows = records.map((record) => {
    const [first, ...others] = columns.map((column) =>
      escapeText(format((record as { [key: string]: unknown })[column])),
    );
    return `<tr><th scope="row">${first}</th>${others.map((text) => `<td>${text}</td>`).join('')}</tr>`;
  });
  return `<div class="scroll" role="region" tabindex="0" aria-label="${escapeText(title)}">
<table><thead><tr>${head}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table></div>`;
}

function figureOf({ title, caption, spec }: Chart, i: number): string {
  const variables = (spec as { data: { values: object[] } }).data.values.length;
  return `<h2>${escapeText(title)}</h2>
<figure aria-labelledby="caption-${i}"><figcaption id="caption-${i}">${escapeText(caption)}</figcaption>
<div class="scroll" role="region" tabindex="0" aria-label="Chart of ${variables} values: ${escapeText(title)}"><div id="chart-${i}"></div></div></figure>`;
}

/** @returns the page, which holds the libraries. */
export function renderPage(contents: Contents, libraries: readonly Library[]): string {
  const { title, summary, constraints, learned, config } = contents;
  const charts = chartsOf(contents);
  const facts = Object.entries(summary).filter(([, value]) => value !== undefined);
  const scripts = libraries.map(
    ({ name, version, license, code }) =>
      `<!-- ${name} ${version}, license: ${license} -->\n<script>${codeInScript(code)}</script>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeText(title)}</title>
<style>${STYLE}
</style>
</head>
<body>
<main>
<h1>${escapeText(title)}</h1>
<dl>
${facts.map(([name, value]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(format(value))}</dd>`).join('\n')}
</dl>
<noscript><p class="problem">The charts are drawn by scripts, which are switched off here; the tables are below.</p></noscript>
${charts.map(figureOf).join('\n')}
<h2>constraints()</h2>
${tableOf('constraints()', constraints)}
${learned.length > 0 ? `<h2>learned()</h2>\n${tableOf('learned()', learned)}` : ''}
<details><summary>Configuration</summary><pre>${escapeText(JSON.stringify(config, null, 2))}</pre></details>
</main>
<script type="application/json" id="charts">${inScript(charts.map(({ spec }) => spec))}</script>
${scripts.join('\n')}
<script>${DRAW}
</script>
</body>
</html>
`;
}
