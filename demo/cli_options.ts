/** The demo's command line. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { count, number } from '../tools/cli_values.js';
import { type ImplementationOption, METHOD_NAMES, type MethodName } from './methods.js';

export interface DemoOptions {
  steps: number;
  batchSize: number;
  lr?: number;
  seed: number;
  methods: MethodName[];
  sweep: boolean;
  sheet: boolean;
  samples: number;
  out: string;
  json?: string;
  implementation: ImplementationOption;
  backend: 'tensorflow' | 'cpu';
  task: 'codes' | 'kinds';
  data?: string;
  model?: string;
  val: number;
  ood: Map<string, string>;
  freeze?: (string | RegExp)[];
  pixels: [number, number];
}

function methodList(text: string): MethodName[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !METHOD_NAMES.includes(name as MethodName));
  if (unknown.length > 0 || new Set(names).size < names.length) {
    throw new InvalidArgumentError(`It must name some of ${METHOD_NAMES.join(', ')}, none twice.`);
  }
  return names as MethodName[];
}

function namedFolder(text: string, sofar: Map<string, string>): Map<string, string> {
  const [, name, folder] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || folder === undefined) throw new InvalidArgumentError('It must be NAME=DIR.');
  if (sofar.has(name) || ['corrupted', 'ID'].includes(name)) {
    throw new InvalidArgumentError(`The name ${name} is taken.`);
  }
  return new Map(sofar).set(name, folder);
}

/** `/.../` is a regular expression, anything else a part of the layer's name. */
function layerPattern(text: string, sofar: (string | RegExp)[] = []): (string | RegExp)[] {
  const [, source] = /^\/(.+)\/$/.exec(text) ?? [];
  try {
    return [...sofar, source === undefined ? text : new RegExp(source)];
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function valueRange(text: string): [number, number] {
  const [low, high, ...rest] = text.split(',').map(Number);
  const valid = rest.length === 0 && Number.isFinite(low) && Number.isFinite(high) && low !== high;
  if (!valid) throw new InvalidArgumentError('It must be two numbers with a comma between, such as -1,1.');
  return [low as number, high as number];
}

/** Reads the command line; commander prints help and errors and ends the process. */
export function parseOptions(argv: readonly string[]): DemoOptions {
  const command = new Command('npm run demo --')
    .description(
      'Fine-tunes a pre-trained model with AdamW, L2-SP, a linear probe and FTP, and compares their accuracy in and ' +
        'out of the distribution that was trained on. Without --data: glyphs in the wild.',
    )
    .option('--steps <n>', 'training steps of each method', count, 300)
    .option('--batch-size <n>', 'images a step', count, 32)
    .option(
      '--lr <x>',
      'one learning rate for all methods, in place of the chosen ones',
      number('> 0', (x) => x > 0),
    )
    .option(
      '--seed <n>',
      'seed of images, shuffling and new weights',
      number('a whole number', Number.isSafeInteger),
      1,
    )
    .addOption(
      new Option('--methods <list>', `some of ${METHOD_NAMES.join(',')}`)
        .argParser(methodList)
        .default([...METHOD_NAMES], 'all'),
    )
    .option('--sweep', 'also AdamW and FTP over three learning rates; writes sweep.svg', false)
    .option('--sheet', 'also a picture of the test images; writes sheet.png', false)
    .option('--samples <n>', 'test images of each character in each font', count, 4)
    .option('--out <dir>', 'folder for the images and the picture', 'demo-output')
    .option('--json <file>', 'write all results as JSON')
    .addOption(
      new Option('--implementation <name>', 'how tfjs-ftp runs its step')
        .choices(['auto', 'native', 'reference'])
        .default('auto'),
    )
    .addOption(
      new Option('--backend <name>', 'tfjs backend').choices(['tensorflow', 'cpu']).default('tensorflow'),
    )
    .addOption(
      new Option(
        '--task <name>',
        'codes: read serial codes, which pre-training covers; kinds: tell kinds of fonts apart, which it does not',
      )
        .choices(['codes', 'kinds'])
        .default('codes'),
    )
    .option('--data <dir>', 'your own images, a sub-folder a class; needs --model')
    .option('--model <path>', 'your own LayersModel (model.json or its folder); its last layer is replaced')
    .option(
      '--val <share>',
      'with --data: share held out to test on',
      number('between 0 and 1', (x) => x > 0 && x < 1),
      0.2,
    )
    .addOption(
      new Option('--ood <name=dir>', 'with --data: shifted images of the same classes; may be repeated')
        .argParser(namedFolder)
        .default(new Map(), 'none'),
    )
    .option(
      '--freeze <pattern>',
      'with --data: layers not to train, by part of their name or /regular expression/; may be repeated (default: the ' +
        'first layer with weights; normalization is always frozen)',
      layerPattern,
    )
    .addOption(
      new Option('--pixels <low,high>', 'with --data: pixel values that the model expects')
        .argParser(valueRange)
        .default([0, 1], '0,1'),
    );
  command.parse(argv, { from: 'user' });
  const options = command.opts<DemoOptions>();
  if ((options.data === undefined) !== (options.model === undefined)) {
    command.error('error: --data and --model must be given together');
  }
  const own = options.data !== undefined;
  const given = (own ? ['task', 'samples'] : ['ood', 'freeze', 'val', 'pixels']).filter(
    (name) => command.getOptionValueSource(name) === 'cli',
  );
  if (given.length > 0) {
    const names = given.map((name) => `--${name}`).join(', ');
    command.error(
      `error: ${names} cannot be given ${own ? "with --data: of the demo's own tasks only" : 'without --data and --model'}`,
    );
  }
  return options;
}
