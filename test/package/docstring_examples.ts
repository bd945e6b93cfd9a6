/** Examples in docstrings. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root } from './support.js';

export interface Example {
  file: string;
  code: string;
}

/** Every ts block after an @example of a file. */
export function examplesIn(file: string): Example[] {
  const text = fs.readFileSync(path.join(root, file), 'utf8');
  return [...text.matchAll(/@example\n \* ```ts\n([\s\S]*?)\n \* ```/g)].map((match) => ({
    file,
    code: (match[1] as string).replaceAll(/^ \* ?/gm, ''),
  }));
}

/** Runs code against the built package, and gives what it prints. */
export function runExample(code: string): string {
  return execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
