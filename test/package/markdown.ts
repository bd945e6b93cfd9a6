/** Pages in Markdown: where they are, and the code in them. */
import fs from 'node:fs';
import path from 'node:path';
import { npm } from '../release/tarball.js';
import { root } from './support.js';

/** Files that `npm pack` would put into the package as the tree is now. */
export async function shippedFiles(): Promise<string[]> {
  const { code, stdout, stderr } = await npm(['pack', '--dry-run', '--json', '--ignore-scripts'], root);
  if (code !== 0) throw new Error(`npm pack: ${stderr}`);
  const [info] = JSON.parse(stdout) as [{ files: Array<{ path: string }> }];
  return info.files.map((file) => file.path);
}

/** Pages of the repository, relative to its root. */
export function markdownFiles(): string[] {
  const folders = ['.', 'docs', 'docs/api', 'bench', 'bench/results'];
  return folders.flatMap((folder) =>
    fs
      .readdirSync(path.join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.posix.join(folder, name)),
  );
}

export interface Block {
  /** The last heading before it. */
  title: string;
  /** Line on which its code starts, from 1. */
  line: number;
  code: string;
}

/** The blocks of a language in a page. */
export function codeBlocks(file: string, language: string): Block[] {
  const blocks: Block[] = [];
  let title = '';
  let open: { language: string; line: number; code: string[] } | null = null;
  for (const [i, text] of fs.readFileSync(path.join(root, file), 'utf8').split('\n').entries()) {
    if (open === null) {
      const fence = /^```(\w*)/.exec(text);
      if (fence) open = { language: fence[1] as string, line: i + 2, code: [] };
      else title = /^#+ (.*)/.exec(text)?.[1] ?? title;
    } else if (text === '```') {
      if (open.language === language) blocks.push({ title, line: open.line, code: open.code.join('\n') });
      open = null;
    } else {
      open.code.push(text);
    }
  }
  return blocks;
}
