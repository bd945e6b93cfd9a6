/** Reads the JSON files of the benchmark; what does not fit the schema is named with its file and field. */

import fs from 'node:fs';
import { z } from 'zod';
import { type BenchReport, type CudaReport, SCHEMAS } from './schema.js';

/** A file is the report of one program, or of a whole run of `npm run bench`. */
export type ReportFile = { file: string } & (
  | { kind: 'bench'; report: BenchReport }
  | { kind: 'cuda'; report: CudaReport }
);

/** Of how many fields an error speaks. */
const NAMED_FIELDS = 5;

function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === 'number') return `${name}[${key}]`;
    return name === '' ? String(key) : `${name}.${String(key)}`;
  }, '');
}

/** `value` as the schema describes it. @throws Error that names the file and the fields */
function check<Schema extends z.ZodType>(file: string, schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const lines = issues
    .slice(0, NAMED_FIELDS)
    .map(({ path, message }) => `  ${path.length === 0 ? 'the file' : fieldName(path)}: ${message}`);
  const more = issues.length > NAMED_FIELDS ? [`  and ${issues.length - NAMED_FIELDS} more`] : [];
  throw new Error([`${file} is not a report of the benchmark:`, ...lines, ...more].join('\n'));
}

/** A `CudaReport` that another program has just written. @throws Error that names the file and the fields */
export function readCudaReport(file: string): CudaReport {
  return check(file, SCHEMAS.cuda, parse(file));
}

function parse(file: string): unknown {
  const content = fs.readFileSync(file, 'utf8');
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`);
  }
}

/**
 * @throws Error that names the file, and the fields that are not as schema.ts has them; the file system's own where it
 *   cannot be read
 */
export function readReport(file: string): ReportFile {
  const value = parse(file);
  const isCuda = z.object({ kind: z.literal('cuda') }).safeParse(value).success;
  return isCuda
    ? { file, kind: 'cuda', report: check(file, SCHEMAS.cuda, value) }
    : { file, kind: 'bench', report: check(file, SCHEMAS.bench, value) };
}
