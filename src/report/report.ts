import path from 'node:path';
import { fileFailure, writeAtomically } from '../checkpoint/files.js';
import type { LearnedNumber } from '../learn/learned_numbers.js';
import { describe } from '../validate.js';
import type { ConstraintReport } from '../variables/constraint_report.js';
import { type Contents, checkOptions, type ReportOptions } from './contents.js';
import { renderPage } from './page.js';
import { readVega } from './vega.js';

/** What is asked of an optimizer; every optimizer of this package has it. */
export interface ReportedOptimizer {
  constraints(): Promise<ConstraintReport[]>;
  learned?(): LearnedNumber[];
  getClassName?(): string;
  getConfig?(): unknown;
  readonly implementation?: string;
  readonly iterations?: number;
  readonly skippedSteps?: number;
  readonly learningRate?: number;
  readonly lastGradientNorm?: number | null;
}

/**
 * Writes a page about an optimizer to a file: 0.8 MB, of which nearly all is the code that draws the charts. It has
 *
 * - of each variable, the constraint gamma and the distance from the anchor, as norms and as fractions of the anchor;
 * - the share of the rows at the boundary, and what the rows keep of their deviation in the mean;
 * - the learned numbers (option `learn`), where they started and where they are;
 * - losses, learning rate and metrics, where a history is given;
 * - the table of `constraints()`, and the configuration.
 *
 * The file is there in full or not at all: a process that is killed while it writes leaves the file that was there before.
 *
 * @param optimizer any optimizer of this package. Its anchors are read once each; nothing of it changes.
 * @param file its folder must exist; a file of that name is replaced.
 * @param options see {@link ReportOptions}.
 * @throws TypeError or RangeError for arguments of a wrong type or value; FtpError VEGA_NOT_FOUND without `vega` and
 *   `vega-lite`, REPORT_FAILED where the file cannot be written, OPTIMIZER_DISPOSED.
 *
 * @example
 * ```ts
 * import { report } from 'tfjs-ftp/report';
 *
 * const optimizer = ftp.adamw(0.01, { model });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * const history = await model.fit(tf.randomNormal([32, 3]), tf.randomNormal([32, 2]), { epochs: 3, verbose: 0 });
 * await report(optimizer, path.join(os.tmpdir(), 'fine-tuning.html'), { history });
 * ```
 */
export async function report(
  optimizer: ReportedOptimizer,
  file: string,
  options: ReportOptions = {},
): Promise<void> {
  if (typeof file !== 'string') throw new TypeError(`file must be the name of a file, got ${describe(file)}`);
  if (file === '') throw new RangeError("file must be the name of a file, got ''");
  const html = await reportHtml(optimizer, options);
  try {
    await writeAtomically(path.resolve(file), html);
  } catch (error) {
    throw fileFailure('REPORT_FAILED', `cannot write the report to ${file}`, error);
  }
}

/**
 * The page of {@link report} as text, to be shown or sent elsewhere.
 *
 * @throws as `report` does, but for the file.
 */
export async function reportHtml(optimizer: ReportedOptimizer, options: ReportOptions = {}): Promise<string> {
  if (typeof optimizer?.constraints !== 'function') {
    throw new TypeError(`optimizer must be an optimizer of tfjs-ftp, got ${describe(optimizer)}`);
  }
  const { title, history } = await checkOptions(options);
  const constraints = await optimizer.constraints();
  const { implementation, iterations, skippedSteps, learningRate, lastGradientNorm } = optimizer;
  const name = optimizer.getClassName?.() ?? 'optimizer';
  const contents: Contents = {
    title: title ?? `${name}: fine-tuning report`,
    summary: {
      optimizer: name,
      implementation,
      steps: iterations,
      'steps left out': skippedSteps || undefined,
      'learning rate': learningRate,
      'gradient norm of the last step': lastGradientNorm ?? undefined,
      variables: constraints.length,
      'of them excluded': constraints.filter(({ excluded }) => excluded).length,
    },
    constraints,
    learned: optimizer.learned?.() ?? [],
    history,
    config: optimizer.getConfig?.() ?? null,
  };
  return renderPage(contents, await readVega());
}
