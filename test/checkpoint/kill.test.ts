// A process that trains is killed at random moments, again and again, and the next one goes on: the same bits in the end as
// without. `npm run check:kills` kills more often.
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runNode, start, temporaryFolder } from '../package/support.js';

const child = path.join(import.meta.dirname, 'train_child.mjs');
const kills = Number(process.env.TFJS_FTP_KILLS ?? 10);

/** A number in [0, 1), the same ones in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function resultOf({ code, stdout, stderr }: Awaited<ReturnType<typeof runNode>>): string {
  expect(code, stderr).toBe(0);
  return stdout.split('\n').find((line) => line.startsWith('result ')) as string;
}

test(
  `killed ${kills} times, training ends with the bits of a run that was not`,
  async () => {
    const folder = temporaryFolder();
    const random = seeded(Number(process.env.TFJS_FTP_KILL_SEED ?? 1));
    const begun = performance.now();
    const whole = await runNode([child, path.join(folder, 'whole'), '3']);
    const expected = resultOf(whole);
    expect(expected).toMatch(/^result 36 /);
    expect(expected).not.toMatch(/^result 36 0\.05 /); // reduceOnPlateau has done something
    const training = performance.now() - begun;

    let killed = 0;
    let midway = 0;
    for (let run = 0; killed < kills; ++run) {
      // 1: within epochs and at their last batch; the last batch of six is the 6th, 12th, ...
      const every = ['3', '1', 'epoch'][run % 3] as string;
      const directory = path.join(folder, String(run));
      while (killed < kills) {
        const running = start(process.execPath, [child, directory, every]);
        let ended = false;
        running.outcome.then(() => {
          ended = true;
        });
        await running.sees('ready');
        await new Promise((resolve) => setTimeout(resolve, random() * Math.min(600, training / 4)));
        if (!ended) running.kill('SIGKILL');
        const outcome = await running.outcome;
        if (outcome.signal !== 'SIGKILL') {
          expect(resultOf(outcome)).toBe(expected);
          break;
        }
        ++killed;
        const found = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
        if (found.some((name) => name.startsWith('.writing-'))) ++midway;
      }
      const last = await runNode([child, directory, every]);
      expect(resultOf(last)).toBe(expected);
      // What killed processes had begun is gone, and no more checkpoints stay than asked for.
      const names = fs.readdirSync(directory);
      expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
      expect(names).toHaveLength(2);
    }
    console.log(`${killed} kills, ${midway} of them while a checkpoint was written`);
  },
  60_000 + kills * 12_000,
);
