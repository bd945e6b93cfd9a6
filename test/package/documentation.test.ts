// The documentation that users get: links lead to files that are part of the package, anchors to headings, and docs/api
// says what the docstrings say.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeBlocks, markdownFiles, shippedFiles } from './markdown.js';
import { root, runNode } from './support.js';

const shipped = await shippedFiles();

interface Link {
  text: string;
  /** Relative to the root of the repository. */
  file: string;
  anchor: string | undefined;
}

const read = (file: string) => fs.readFileSync(path.join(root, file), 'utf8');
const withoutCode = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, 'code');

function relativeLinks(file: string): Link[] {
  const links = withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].flatMap(([, text = '']) => {
    if (/^[a-z]+:/.test(text)) return [];
    const [target = '', anchor] = text.split('#');
    const folder = path.posix.dirname(file);
    return { text, file: target === '' ? file : path.posix.join(folder, target), anchor };
  });
}

/** Anchors of a page on GitHub: those of its headings, and those that it sets itself. */
function anchorsOf(file: string): Set<string> {
  const text = read(file).replace(/^```[\s\S]*?^```/gm, '');
  const anchors = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id as string));
  const times = new Map<string, number>();
  for (const [, title = ''] of text.matchAll(/^#+ (.*)$/gm)) {
    const slug = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const before = times.get(slug) ?? 0;
    times.set(slug, before + 1);
    anchors.add(before === 0 ? slug : `${slug}-${before}`);
  }
  return anchors;
}

/** Whether the package holds a file, or a folder with that name. */
const isShipped = (file: string) =>
  shipped.some((name) => name === file || name.startsWith(`${file.replace(/\/$/, '')}/`));

describe.each(markdownFiles())('%s', (file) => {
  const links = relativeLinks(file);

  test('its links lead to files, which are shipped if it is', () => {
    const there = isShipped(file) ? isShipped : (target: string) => fs.existsSync(path.join(root, target));
    expect(links.filter((link) => !there(link.file)).map(({ text }) => text)).toEqual([]);
  });

  test('the headings that its links name are there', () => {
    const dead = links.filter(({ file: target, anchor }) => anchor && !anchorsOf(target).has(anchor));
    expect(dead.map(({ text }) => text)).toEqual([]);
  });
});

test('the package ships the README, the changelog and the pages for users', () => {
  const expected =
    'README.md CHANGELOG.md docs/algorithm.md docs/guide.md docs/api/index.md docs/api/tfjs-ftp.md';
  expect(shipped).toEqual(expect.arrayContaining(expected.split(' ')));
});

test("the README's second example is examples/fine_tune.mjs", () => {
  const [, second] = codeBlocks('README.md', 'js');
  const example = read('examples/fine_tune.mjs').replace(/^(\/\/.*\n)+/, '');
  expect(second?.code).toBe(example.trimEnd());
});

test("the guide's example for GraphModels is examples/graph_model.mjs", () => {
  const [only] = codeBlocks('docs/guide.md', 'javascript');
  const example = read('examples/graph_model.mjs').replace(/^(\/\/.*\n)+/, '');
  expect(only?.code).toBe(example.trimEnd());
});

describe('docs/api', () => {
  const page = read('docs/api/tfjs-ftp.md');

  test('is what the docstrings say', async () => {
    const { code, stderr } = await runNode(['scripts/check/api_docs.mjs', '--check']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  test('begins with the factories, in full', () => {
    const titles = [...page.matchAll(/^### (.*)$/gm)].map(([, title]) => title);
    expect(titles.slice(0, 3)).toEqual(['ftp.adamw()', 'ftp.sgd()', 'ftp.wrap()']);
    const adamw = page.slice(page.indexOf('### ftp.adamw()'), page.indexOf('### ftp.sgd()'));
    expect(adamw).toContain('W_t[r] = A[r] + clip(gamma / n_t[r], 0, 1) C_t[r]');
    for (const heading of ['Parameters', 'Returns', 'Throws', 'Example']) {
      expect(adamw).toContain(`\n#### ${heading}\n`);
    }
  });

  test('says what an option or a method does in one place', () => {
    const pages = fs.readdirSync(path.join(root, 'docs', 'api')).map((file) => read(`docs/api/${file}`));
    const places = (pattern: RegExp) => pages.join('\n').match(pattern)?.length ?? 0;
    expect(places(/^\| <a id="[^"]*"><\/a> `constraintLearningRate\?` \| `number` \| Step size/gm)).toBe(1);
    expect(places(/^#+ applyGradients\(\)$/gm)).toBe(1);
    expect(pages.join('\n')).not.toContain('Inherited from');
  });
});
