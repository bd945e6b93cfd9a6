/**
 * Chooses the settings of every method in demo/methods.ts: `npm run demo:select`.
 *
 * Each setting is fine-tuned with a few seeds and tested on validation fonts: two sans-serif families that
 * are used neither for pre-training, training nor testing. The highest mean accuracy wins, of equals the
 * lowest mean loss. No shifted image is drawn here.
 */
import { Command } from 'commander';
import { mean } from './comparison.js';
import { type EvaluationSet, evaluate } from './evaluation.js';
import { fineTune } from './fine_tune.js';
import { drawSet, glyphTask } from './glyph_task.js';
import { GlyphPainter } from './glyphs.js';
import { METHODS, type MethodName, type MethodSettings } from './methods.js';
import { progressBar } from './progress.js';
import { startTensorFlow } from './runtime.js';
import type { Task } from './task.js';

const RATES = [3e-4, 1e-3, 3e-3, 1e-2];

const GRIDS: Record<MethodName, MethodSettings[]> = {
  adamw: RATES.map((learningRate) => ({ learningRate })),
  l2sp: RATES.flatMap((learningRate) => [1e-2, 1e-1, 1].map((strength) => ({ learningRate, strength }))),
  probe: [3e-3, 1e-2, 3e-2, 1e-1].map((learningRate) => ({ learningRate })),
  ftp: RATES.map((learningRate) => ({ learningRate })),
  'ftp-sgd': [1e-2, 3e-2, 1e-1, 3e-1].map((learningRate) => ({ learningRate })),
};

interface Outcome {
  settings: MethodSettings;
  accuracy: number;
  loss: number;
}

function format({ learningRate, strength }: MethodSettings): string {
  return `learning rate ${learningRate}${strength === undefined ? '' : `, strength ${strength}`}`;
}

/**
 * The better of two outcomes by accuracy, then by loss; accuracies closer than a rounding error are equal.
 */
function better(a: Outcome, b: Outcome): Outcome {
  if (Math.abs(a.accuracy - b.accuracy) > 1e-9) return a.accuracy > b.accuracy ? a : b;
  return a.loss <= b.loss ? a : b;
}

async function select(options: { seeds: number; steps: number; out: string }): Promise<void> {
  await startTensorFlow();
  const painter = await GlyphPainter.create();
  const trials: { task: Task; validation: EvaluationSet }[] = [];
  for (let seed = 101; seed < 101 + options.seeds; ++seed) {
    // Seeds of their own: the demo's training images are not these.
    const out = `${options.out}/select-${seed}`;
    trials.push({
      task: await glyphTask({ seed, batchSize: 32, samples: 1, out }),
      validation: drawSet(painter, 'validation', 'sans', 'validation', 'plain', 10, seed),
    });
  }
  for (const [name, grid] of Object.entries(GRIDS) as [MethodName, MethodSettings[]][]) {
    const outcomes: Outcome[] = [];
    const bar = progressBar(METHODS[name].label, grid.length * trials.length);
    for (const settings of grid) {
      const scores = [];
      for (const { task, validation } of trials) {
        await fineTune(task, METHODS[name], settings, { steps: options.steps, implementation: 'auto' });
        scores.push(await evaluate(task.transfer.model, validation));
        bar.update(outcomes.length * trials.length + scores.length);
      }
      const [accuracy, loss] = [
        mean(scores.map((score) => score.accuracy)),
        mean(scores.map((score) => score.loss)),
      ];
      outcomes.push({ settings, accuracy, loss });
    }
    bar.stop();
    const best = outcomes.reduce(better);
    console.log(`\n${METHODS[name].label}`);
    for (const outcome of outcomes) {
      console.log(
        `  ${format(outcome.settings).padEnd(36)} accuracy ${(100 * outcome.accuracy).toFixed(2)}%, ` +
          `loss ${outcome.loss.toFixed(4)}${outcome === best ? '  <- chosen' : ''}`,
      );
    }
  }
}

const command = new Command('select')
  .description('Chooses the settings of the demo on validation fonts of the target domain.')
  .option('--seeds <n>', 'seeds to average over', Number, 3)
  .option('--steps <n>', 'training steps', Number, 300)
  .option('--out <dir>', 'folder for the training images', 'demo-output');
command.parse();
await select(command.opts<{ seeds: number; steps: number; out: string }>());
