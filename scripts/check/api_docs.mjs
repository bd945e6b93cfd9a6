#!/usr/bin/env node
// Writes docs/api from the docstrings: typedoc makes a page for each entry of the package, this names the pages as users
// import them, links them, and gives each a table of contents. With --check: only says whether docs/api is up to date.
import fs from 'node:fs';
import path from 'node:path';
import { run, tail } from '../lib/child.mjs';
import { reporter, reportFailure, SetupError } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';

const FOLDER = path.join(root, 'docs', 'api');
const MADE = 'Made from the docstrings by `npm run docs`: change those, not this file.';

/** What no docstring says, since the entry exports nothing. */
const COMPAT = `## tfjs-ftp/compat

\`import 'tfjs-ftp/compat'\` before \`@tensorflow/tfjs-node\` restores functions that Node 23 removed and tfjs-node 4.22 needs.
On older versions of Node it does nothing. It exports nothing.
`;

/** The entries of package.json that are made from TypeScript, with typedoc's name for each page and ours. */
function findEntries() {
  const { exports } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  return Object.entries(exports).flatMap(([entry, { import: target }]) => {
    if (target === undefined) return [];
    const source = target.types.replace(/^\.\/dist\//, '').replace(/\.d\.ts$/, '');
    return {
      specifier: path.posix.join('tfjs-ftp', entry),
      source: `src/${source}.ts`,
      made: `${source.replace(/\/index$/, '')}.md`,
      file: entry === '.' ? 'tfjs-ftp.md' : `${path.posix.basename(entry)}.md`,
    };
  });
}

/** Every heading of a page, with the anchor that it gets on GitHub. */
function headingsOf(page) {
  const seen = new Map();
  return [...page.matchAll(/^(#+) (.*)$/gm)].map(([, { length: level }, title]) => {
    const slug = title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return { level, title, anchor: times === 0 ? slug : `${slug}-${times}` };
  });
}

/**
 * typedoc counts equal names in another way than GitHub counts equal headings. It marks its own anchors, so that they can be
 * taken out, and links to them be led to GitHub's. Returns the page without them, and GitHub's anchor for each of typedoc's.
 */
function takeAnchors(marked) {
  const own = [];
  const lines = [];
  let pending = null;
  for (const line of marked.split('\n')) {
    const anchor = /^<a id="([^"]+)"><\/a>$/.exec(line);
    if (anchor) {
      pending = anchor[1];
      continue;
    }
    if (/^#+ /.test(line)) {
      own.push(pending);
      pending = null;
    }
    // The empty line between a marker and its heading goes with the marker.
    if (!(line === '' && pending !== null)) lines.push(line);
  }
  const page = lines.join('\n');
  const headings = headingsOf(page);
  const anchors = new Map(own.flatMap((id, i) => (id === null ? [] : [[id, headings[i].anchor]])));
  return { page, anchors };
}

/** A line for each group with what it holds, linked. */
function contentsOf(page, file = '') {
  const groups = [];
  for (const { level, title, anchor } of headingsOf(page)) {
    const label = title.replace(/^`abstract` /, '').replace(/\(\)$/, '');
    if (level === 2) groups.push({ label, links: [] });
    if (level === 3) groups.at(-1).links.push(`[${label}](${file}#${anchor})`);
  }
  return groups.map(({ label, links }) => `- ${label}: ${links.join(', ')}`).join('\n');
}

/** The pages as typedoc makes them, each with its entry. */
async function readPages(entries) {
  const folder = path.join(root, '.cache', 'api');
  fs.rmSync(folder, { recursive: true, force: true });
  const typedoc = path.join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const sources = entries.map(({ source }) => source);
  const { code, output } = await run(process.execPath, [typedoc, ...sources], { cwd: root });
  if (code !== 0) throw new SetupError(`typedoc failed\n${tail(output, 20)}`);
  return entries.map((entry) => ({
    ...entry,
    ...takeAnchors(fs.readFileSync(path.join(folder, entry.made), 'utf8').trim()),
  }));
}

/** The pages of docs/api by file name. */
async function makePages(entries) {
  const read = await readPages(entries);
  const pages = {};
  const index = [`# API\n\n${MADE}\n`];
  for (const self of read) {
    const text = self.page.replace(/\]\((\w+\.md)?#([^)]*)\)/g, (_, made, id) => {
      const target = made === undefined ? self : read.find((other) => other.made === made);
      const file = target === self ? '' : target.file;
      return `](${file}#${target.anchors.get(id) ?? id})`;
    });
    const start = text.search(/^## /m);
    const summary = text.slice(0, start).trim();
    const introduction = summary === '' ? '' : `${summary}\n\n`;
    const body = text.slice(start);
    pages[self.file] = `# ${self.specifier}\n\n${introduction}${MADE}\n\n${contentsOf(body)}\n\n${body}\n`;
    index.push(`## [${self.specifier}](${self.file})\n\n${introduction}${contentsOf(body, self.file)}\n`);
  }
  pages['index.md'] = `${index.join('\n')}\n${COMPAT}`;
  return pages;
}

function check(pages) {
  const present = fs.existsSync(FOLDER) ? fs.readdirSync(FOLDER) : [];
  const differing = [...new Set([...present, ...Object.keys(pages)])].filter((file) => {
    const there = path.join(FOLDER, file);
    return !fs.existsSync(there) || fs.readFileSync(there, 'utf8') !== pages[file];
  });
  if (differing.length > 0) {
    throw new SetupError(`docs/api is not up to date: ${differing.sort().join(', ')}`, 'run `npm run docs`');
  }
  reporter('docs')('docs/api is up to date');
}

function write(pages) {
  fs.rmSync(FOLDER, { recursive: true, force: true });
  fs.mkdirSync(FOLDER, { recursive: true });
  for (const [file, text] of Object.entries(pages)) fs.writeFileSync(path.join(FOLDER, file), text);
  reporter('docs')(`wrote docs/api: ${Object.keys(pages).join(', ')}`);
}

async function main() {
  const pages = await makePages(findEntries());
  if (process.argv.includes('--check')) check(pages);
  else write(pages);
}

main().catch((error) => {
  reportFailure('docs', error);
  process.exitCode = 1;
});
