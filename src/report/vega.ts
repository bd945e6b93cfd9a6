/** The code of Vega and Vega-Lite, as their packages bring it for pages. */

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { FtpError } from '../errors.js';

/** A library for a page. */
export interface Library {
  name: string;
  version: string;
  license: string;
  code: string;
}

/** In this order: the second uses the first. */
const PACKAGES = ['vega', 'vega-lite'];

/**
 * Reads the libraries from where the program would find them: from the working directory, then from its main file.
 *
 * @throws FtpError VEGA_NOT_FOUND.
 */
export async function readVega(): Promise<Library[]> {
  const places = [path.resolve('report.js'), ...(process.argv[1] ? [path.resolve(process.argv[1])] : [])];
  return Promise.all(PACKAGES.map((name) => readLibrary(name, places)));
}

async function readLibrary(name: string, places: string[]): Promise<Library> {
  const tried: string[] = [];
  for (const place of places) {
    try {
      const folder = path.dirname(createRequire(place).resolve(name));
      const manifest = await readFile(path.join(folder, '..', 'package.json'), 'utf8');
      const { version, license } = JSON.parse(manifest) as { version: string; license: string };
      const code = await readFile(path.join(folder, `${name}.min.js`), 'utf8');
      return { name, version, license, code };
    } catch (error) {
      tried.push(`from ${path.dirname(place)}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new FtpError(
    'VEGA_NOT_FOUND',
    `a report needs ${PACKAGES.join(' and ')}, and ${name} was not found (${tried.join('; ')}); ` +
      `run: npm install --save-dev ${PACKAGES.join(' ')}`,
  );
}
