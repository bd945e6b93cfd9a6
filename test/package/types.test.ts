// TypeScript finds the types of every entry in the packed files, in each way that it looks for modules.
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shippedFiles } from './markdown.js';
import { root } from './support.js';

/** What a user writes; every line that must be refused shows that the types are there, and not `any`. */
const USE = `
import 'tfjs-ftp/compat';
import type { Optimizer } from '@tensorflow/tfjs-core';
import { type FtpAdamWOptions, FtpError, ftp } from 'tfjs-ftp';
import { Checkpointer, type ResumedPosition } from 'tfjs-ftp/checkpoint';
import { type ImageFolderDataset, imageFolder } from 'tfjs-ftp/data';
import { type TrainableGraphModel, trainable } from 'tfjs-ftp/models';
import { GRADIENTS } from 'tfjs-ftp/models/gradients';
import { createFusedStep, type FusedStep } from 'tfjs-ftp/native';
import { report } from 'tfjs-ftp/report';

const options: FtpAdamWOptions = { k: 1, exclude: ['head/'] };
export const optimizer: Optimizer = ftp.adamw(1e-3, options);
export const isFtpError = (error: unknown) => error instanceof FtpError;
export const images = (): Promise<ImageFolderDataset> => imageFolder('flowers', { imageSize: 32 });
export const resumed = (): Promise<ResumedPosition> => new Checkpointer('run', { variables: [] }).resume();
export const inGraph = (model: Parameters<typeof trainable>[0]): TrainableGraphModel => trainable(model, { minRank: 2 });
export const ofGraph = (model: TrainableGraphModel): Optimizer => ftp.adamw(1e-3, { model, outputAxis: model.outputAxis });
export const written = (): Promise<void> => report(ftp.adamw(1e-3), 'report.html', { history: { loss: [1, 0.5] } });
export const first: string | undefined = GRADIENTS[0];
export const fused = (weights: Float32Array): FusedStep =>
  createFusedStep({ base: 'adamw', learningRate: 1e-3, variables: [{ name: 'w', weights, shape: [weights.length] }] });

// @ts-expect-error
ftp.adamw('fast');
// @ts-expect-error
trainable({});
// @ts-expect-error
imageFolder('flowers', { imageSize: '32' });
// @ts-expect-error
new Checkpointer('run', { keep: 'all' });
// @ts-expect-error
report(ftp.adamw(1e-3), 1);
// @ts-expect-error
createFusedStep({ base: 'adam' });
`;

// Beside the sources: a project of its own whose peers are those of this repository.
const project = path.join(root, '.cache', `types-${process.pid}`);
const installed = path.join(project, 'node_modules', 'tfjs-ftp');

beforeAll(async () => {
  const files = await shippedFiles();
  for (const file of files.filter((name) => /\.d\.[cm]?ts$|package\.json$/.test(name))) {
    const target = path.join(installed, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.copyFileSync(path.join(root, file), target);
  }
  for (const name of ['use.cts', 'use.mts', 'use.ts']) fs.writeFileSync(path.join(project, name), USE);
  fs.writeFileSync(path.join(project, 'package.json'), '{"name": "project", "private": true}');
});

afterAll(() => fs.rmSync(project, { recursive: true, force: true }));

/** Problems in the user's files and in the package's declarations; those of the peers are not ours. */
function problems(files: string[], options: ts.CompilerOptions): string[] {
  const program = ts.createProgram(
    files.map((file) => path.join(project, file)),
    {
      ...{ noEmit: true, strict: true, skipLibCheck: false, noUncheckedSideEffectImports: true },
      ...{ target: ts.ScriptTarget.ES2022, lib: ['lib.es2023.d.ts'], types: ['node'] },
      typeRoots: [path.join(root, 'node_modules', '@types')],
      ...options,
    },
  );
  const own = program.getSourceFiles().filter(({ fileName }) => path.normalize(fileName).startsWith(project));
  expect(own.length).toBeGreaterThan(files.length);
  return [
    ...program.getOptionsDiagnostics(),
    ...own.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ].map(({ file, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n');
    return `${file ? path.relative(project, file.fileName) : 'options'}: ${text}`;
  });
}

const { ModuleKind, ModuleResolutionKind } = ts;

test.each([
  ['node10, CommonJS', ['use.ts'], ModuleKind.CommonJS, ModuleResolutionKind.Node10],
  ['node16, both module systems', ['use.cts', 'use.mts'], ModuleKind.Node16, ModuleResolutionKind.Node16],
  [
    'nodenext, both module systems',
    ['use.cts', 'use.mts'],
    ModuleKind.NodeNext,
    ModuleResolutionKind.NodeNext,
  ],
  ['bundler', ['use.ts'], ModuleKind.ESNext, ModuleResolutionKind.Bundler],
])(
  '%s',
  (_, files, module, moduleResolution) => {
    expect(problems(files, { module, moduleResolution })).toEqual([]);
  },
  180_000,
);
