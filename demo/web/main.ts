/** The page: what the visitor sees and does. The nets are trained by two workers. */
import { SETTINGS } from '../settings.js';
import { Pad, pixelsOf, readFile, thumbnail } from './drawing.js';
import { LiveChart } from './live_chart.js';
import type { Answer, BackendChoice, Data, Request, Scores } from './messages.js';
import { OwnImages, serialCodes } from './sources.js';

const TWO = ['adamw', 'ftp'] as const;
type Two = (typeof TWO)[number];

const LABELS: Record<Two, string> = { adamw: 'AdamW', ftp: 'FTP' };
const COLORS: Record<Two, string> = { adamw: '#d55e00', ftp: '#0072b2' };
const LAYER_COLORS = ['#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found as T;
}

const form = element<HTMLFormElement>('settings');
const status = element('status');
const startButton = element<HTMLButtonElement>('start');
const stopButton = element<HTMLButtonElement>('stop');
const charts = {
  loss: new LiveChart(element('chart-loss')),
  id: new LiveChart(element('chart-id'), [0, 100]),
  shifted: new LiveChart(element('chart-shifted'), [0, 100]),
  distance: new LiveChart(element('chart-distance')),
};

function say(text: string, isProblem = false): void {
  status.textContent = text;
  status.classList.toggle('problem', isProblem);
}

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/* Images of the visitor's own. */

const own = new OwnImages();
const ownPad = new Pad(element<HTMLCanvasElement>('own-pad'));
const className = element<HTMLInputElement>('class-name');

function showClasses(): void {
  const items = [...own.classes].map(([name, images]) => {
    const item = document.createElement('li');
    const label = document.createElement('strong');
    label.textContent = `${name} (${images.length})`;
    const remove = document.createElement('button');
    remove.type = 'button';
    remove.textContent = 'Remove';
    remove.setAttribute('aria-label', `Remove the class ${name}`);
    remove.addEventListener('click', () => {
      own.classes.delete(name);
      showClasses();
    });
    item.append(label, ...images.slice(0, 12).map(thumbnail), remove);
    return item;
  });
  element('classes').replaceChildren(...items);
  element('class-names').replaceChildren(...[...own.classes.keys()].map((name) => new Option(name)));
}

/** The class that images are added to; null, and a word about it, where none is named. */
function namedClass(): string | null {
  const name = className.value.trim();
  if (name !== '') return name;
  say('Name the class first.', true);
  className.focus();
  return null;
}

element('add-drawing').addEventListener('click', () => {
  const name = namedClass();
  if (name === null) return;
  if (ownPad.isEmpty) return say('There is nothing drawn yet.', true);
  own.add(name, ownPad.read());
  ownPad.clear();
  showClasses();
  say(`Added a drawing to “${name}”.`);
});
element('clear-own').addEventListener('click', () => ownPad.clear());

element<HTMLInputElement>('files').addEventListener('change', async ({ target }) => {
  const input = target as HTMLInputElement;
  const files = [...(input.files ?? [])];
  const name = namedClass();
  input.value = '';
  if (name === null) return;
  const unread: string[] = [];
  for (const file of files) {
    try {
      own.add(name, pixelsOf(await readFile(file)));
    } catch {
      unread.push(file.name);
    }
  }
  showClasses();
  const added = `Added ${files.length - unread.length} images to “${name}”.`;
  say(unread.length === 0 ? added : `${added} No image: ${unread.join(', ')}.`, unread.length > 0);
});

form.addEventListener('change', () => {
  element('own').hidden = new FormData(form).get('source') !== 'own';
});

/* Training. */

interface Run {
  worker: Worker;
  ended: boolean;
  secondsPerStep: number | null;
}

const runs = new Map<Two, Run>();

for (const name of TWO) {
  (form.elements.namedItem(name) as HTMLInputElement).value = String(SETTINGS[name].learningRate);
}

function ask(name: Two, request: Request): void {
  runs.get(name)?.worker.postMessage(request);
}

const percent = (share: number) => 100 * share;

const results = new Map<Two, Scores>();

function showResults(): void {
  const region = element('results');
  region.hidden = results.size === 0;
  const [first] = results.values();
  if (first === undefined) return;
  const columns = ['like those trained on', ...first.shifted.map(({ name }) => name), 'mean of the shifted'];
  const cell = (tag: 'th' | 'td', text: string, scope?: string) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (scope !== undefined) made.setAttribute('scope', scope);
    return made;
  };
  const row = (cells: HTMLElement[]) => {
    const made = document.createElement('tr');
    made.append(...cells);
    return made;
  };
  const head = row(
    ['', ...columns].map((text) => cell(text === '' ? 'td' : 'th', text, text === '' ? undefined : 'col')),
  );
  region.querySelector('thead')?.replaceChildren(head);
  const body = TWO.flatMap((name) => {
    const scores = results.get(name);
    if (scores === undefined) return [];
    const values = [
      scores.inDistribution,
      ...scores.shifted.map(({ accuracy }) => accuracy),
      scores.meanShifted,
    ];
    return [
      row([cell('th', LABELS[name], 'row'), ...values.map((value) => cell('td', percent(value).toFixed(1)))]),
    ];
  });
  region.querySelector('tbody')?.replaceChildren(...body);
}

function startCharts(layers: readonly string[]): void {
  const both = TWO.map((name) => ({ label: LABELS[name], color: COLORS[name] }));
  for (const chart of [charts.loss, charts.id, charts.shifted]) chart.start(both);
  charts.distance.start(
    TWO.flatMap((name) =>
      layers.map((layer, i) => ({
        label: `${LABELS[name]} ${layer.replace(/_conv$/, '')}`,
        color: LAYER_COLORS[i % LAYER_COLORS.length] as string,
        dashed: name === 'adamw',
      })),
    ),
  );
}

let layersInCharts: number | null = null;

function hear(name: Two, steps: number, answer: Answer): void {
  const run = runs.get(name);
  if (run === undefined) return;
  const line = TWO.indexOf(name);
  switch (answer.type) {
    case 'started':
      if (layersInCharts === null) startCharts(answer.layers);
      layersInCharts = answer.layers.length;
      say(`Training on ${answer.backend}.`);
      break;
    case 'step':
      charts.loss.add(line, answer.step, answer.loss);
      element<HTMLProgressElement>(`progress-${name}`).value = answer.step / steps;
      break;
    case 'test':
      charts.id.add(line, answer.step, percent(answer.scores.inDistribution));
      charts.shifted.add(line, answer.step, percent(answer.scores.meanShifted));
      for (const [i, distance] of answer.distances.entries()) {
        charts.distance.add(line * (layersInCharts ?? 0) + i, answer.step, percent(distance));
      }
      break;
    case 'done':
      results.set(name, answer.scores);
      run.secondsPerStep = answer.secondsPerStep;
      showResults();
      end(name);
      break;
    case 'prediction':
      if (answer.id === guesses) showGuess(name, answer.classes);
      break;
    case 'failed':
      say(`${LABELS[name]}: ${answer.message}`, true);
      end(name);
  }
}

function end(name: Two): void {
  const run = runs.get(name) as Run;
  run.ended = true;
  if ([...runs.values()].some(({ ended }) => !ended)) return;
  startButton.disabled = false;
  stopButton.disabled = true;
  if (results.size < TWO.length) return;
  const times = TWO.map(
    (each) => `${LABELS[each]} ${(1000 * (runs.get(each)?.secondsPerStep ?? 0)).toFixed(0)} ms`,
  );
  say(`Done. A step took: ${times.join(', ')}.`);
  if (!tryPad.isEmpty) guess();
}

function start(data: Data): void {
  const given = new FormData(form);
  const number = (key: string) => Number(given.get(key));
  const steps = number('steps');
  for (const { worker } of runs.values()) worker.terminate();
  runs.clear();
  results.clear();
  showResults();
  layersInCharts = null;
  startButton.disabled = true;
  stopButton.disabled = false;
  for (const name of TWO) {
    element<HTMLProgressElement>(`progress-${name}`).value = 0;
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    runs.set(name, { worker, ended: false, secondsPerStep: null });
    worker.addEventListener('message', ({ data: answer }: MessageEvent<Answer>) => {
      if (runs.get(name)?.worker === worker) hear(name, steps, answer);
    });
    worker.addEventListener('error', ({ message }) => {
      hear(name, steps, { type: 'failed', message: message || 'the worker could not be loaded' });
    });
    ask(name, {
      type: 'train',
      method: name,
      learningRate: number(name),
      steps,
      batchSize: number('batchSize'),
      seed: number('seed'),
      testEvery: number('testEvery'),
      backend: given.get('backend') as BackendChoice,
      data,
    });
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    if (new FormData(form).get('source') === 'own') {
      if (own.problem !== null) return say(own.problem, true);
      start(own.toData());
    } else {
      say('Reading the images …');
      start(await serialCodes());
    }
    say('Starting …');
  } catch (error) {
    say(textOf(error), true);
  }
});

stopButton.addEventListener('click', () => {
  stopButton.disabled = true;
  say('Stopping after this step …');
  for (const name of TWO) ask(name, { type: 'stop' });
});

/* What the nets take a drawing for. */

let guesses = 0;
const tryPad = new Pad(element<HTMLCanvasElement>('try-pad'), guess);

function guess(): void {
  guesses += 1;
  if (runs.size === 0) say('Start a training first.', true);
  for (const name of TWO) ask(name, { type: 'predict', id: guesses, pixels: tryPad.read() });
}

function showGuess(name: Two, classes: readonly { name: string; probability: number }[]): void {
  const items = classes.map(({ name: guessed, probability }) => {
    const item = document.createElement('li');
    item.textContent = `${guessed} (${percent(probability).toFixed(0)}%)`;
    return item;
  });
  element(`guess-${name}`).replaceChildren(...items);
}

element('clear-try').addEventListener('click', () => {
  tryPad.clear();
  for (const name of TWO) element(`guess-${name}`).replaceChildren();
});
element<HTMLInputElement>('try-file').addEventListener('change', async ({ target }) => {
  const [file] = (target as HTMLInputElement).files ?? [];
  if (file === undefined) return;
  try {
    tryPad.show(await readFile(file));
    guess();
  } catch {
    say(`${file.name} is no image that this browser reads.`, true);
  }
});
