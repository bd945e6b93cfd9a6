/** Worker threads: the ops are registered once a process, the step's threads are shared, results are the same bits. */
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { findNative } from '../../src/native/addon.js';
import { IMPLEMENTATIONS } from '../backends/implementations.js';
import { describeOrSkip } from '../backends/skip.js';
import { runNode } from '../package/support.js';

interface Outcome {
  alone: string;
  beside: string;
  after?: string;
  results?: Array<string | string[]>;
  codes?: number[];
  failures: string[];
}

async function runWorkers(
  backend: string,
  mode: 'finish' | 'terminate' | 'exit' | 'in-turn',
): Promise<Outcome> {
  const child = path.join(import.meta.dirname, 'workers_child.mjs');
  const env = { TFJS_FTP_THREADS: '2' };
  const { code, signal, stdout, stderr } = await runNode([child, backend, mode], { env });
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null });
  const line = stdout.split('\n').find((text) => text.startsWith('results '));
  const outcome = JSON.parse(line?.slice('results '.length) ?? '{}') as Outcome;
  expect(outcome.failures).toEqual([]);
  return outcome;
}

const native = IMPLEMENTATIONS.filter(({ runs }) => runs === 'tensorflow-cpu' || runs === 'cpu');

for (const { label, backend, runs, missing } of native) {
  describeOrSkip(`worker threads, ${label}`, missing, () => {
    let finished: Promise<Outcome>;
    beforeAll(() => {
      finished = runWorkers(backend, 'finish');
    });

    it('two workers and the main thread train at once with the results of a single run, and end', async () => {
      const { alone, beside, after, results, codes } = await finished;
      expect(alone).toMatch(new RegExp(`^${runs} [0-9a-f]{64}$`));
      expect([beside, after]).toEqual([alone, alone]);
      expect(results).toEqual([[alone], [alone]]);
      expect(codes).toEqual([0, 0]);
    });

    it('workers that are terminated in the middle of training leave the others alone', async () => {
      const { alone, beside, after, codes } = await runWorkers(backend, 'terminate');
      expect([beside, after]).toEqual([alone, alone]);
      expect(codes).toEqual([1, 1]); // Node's exit code of a terminated worker
    });

    it('the addon outlives the only worker that had it, with its threads and ops', async () => {
      const { results, codes } = await runWorkers(backend, 'in-turn');
      const { alone } = await finished;
      expect(results).toEqual([alone, alone]);
      expect(codes).toEqual([0, 0]);
    });

    it('the process can exit while workers train', async () => {
      const { alone, beside } = await runWorkers(backend, 'exit');
      expect(beside).toEqual(alone);
    });
  });
}

describeOrSkip(
  'worker threads, arrays',
  findNative().addon === null ? 'the addon is not built' : null,
  () => {
    it('workers that are terminated while a step throws do not end the process', async () => {
      const { code, signal, stdout, stderr } = await runNode([
        path.join(import.meta.dirname, 'terminated_child.mjs'),
      ]);
      expect({ code, signal, stdout }, stderr).toEqual({ code: 0, signal: null, stdout: 'ended all\n' });
    });
  },
);
