#!/usr/bin/env node
// Writes docs/api.md from the docstrings: typedoc makes a page for each entry of the package, this joins them.
import fs from 'node:fs';
import path from 'node:path';
import { root } from './lib/build_steps.mjs';
import { run, tail } from './lib/child.mjs';
import { reporter, reportFailure, SetupError } from './lib/report.mjs';

/** Pages in the order in which users meet them, and the names under which the entries are imported. */
const PAGES = { 'index.md': 'tfjs-ftp', 'native_api.md': 'tfjs-ftp/native', 'data.md': 'tfjs-ftp/data' };
const INTRODUCTION = `# API

Made from the docstrings by \`npm run docs\`: change those, not this file.

`;

/** A page with its title replaced, all headings one level down, and links to other pages turned into links within one. */
function joinable(page, title) {
  return page
    .replace(/^# .*$/m, `# ${title}`)
    .replace(/^(#{1,5}) /gm, '#$1 ')
    .replace(/\]\((?:index|native_api|data)\.md(#[^)]*)\)/g, ']($1)')
    .trimEnd();
}

async function main() {
  const pages = path.join(root, '.cache', 'api');
  fs.rmSync(pages, { recursive: true, force: true });
  const typedoc = path.join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const { code, output } = await run(process.execPath, [typedoc], { cwd: root });
  if (code !== 0) throw new SetupError(`typedoc failed\n${tail(output, 20)}`);
  const sections = Object.entries(PAGES).map(([file, title]) =>
    joinable(fs.readFileSync(path.join(pages, file), 'utf8'), title),
  );
  fs.mkdirSync(path.join(root, 'docs'), { recursive: true });
  fs.writeFileSync(path.join(root, 'docs', 'api.md'), `${INTRODUCTION}${sections.join('\n\n')}\n`);
  reporter('docs')('wrote docs/api.md');
}

main().catch((error) => {
  reportFailure('docs', error);
  process.exitCode = 1;
});
