/** Runs a trial in a process of its own, so that no contender inherits another's heap. */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Unavailable } from './suite.js';
import type { TrialMessage, Trials } from './trial.js';

const TRIAL = fileURLToPath(new URL('trial.js', import.meta.url));
const LIMIT_MINUTES = 30;
const OUTPUT_CHARACTERS = 2000;

/**
 * @throws Unavailable where this machine lacks what the trial needs; Error where it failed, died or took
 *   longer than half an hour
 */
export function runTrial<Kind extends keyof Trials>(
  kind: Kind,
  spec: Parameters<Trials[Kind]>[0],
): Promise<Awaited<ReturnType<Trials[Kind]>>> {
  return new Promise((resolve, reject) => {
    const child = fork(TRIAL, [kind, JSON.stringify(spec)], {
      // Collections between samples must not make V8 throw away compiled code.
      execArgv: ['--expose-gc', '--no-flush-bytecode'],
      env: { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    // Start-up notes of TensorFlow and tfjs; shown only where the process ends without a result.
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        output = `${output}${chunk}`.slice(-OUTPUT_CHARACTERS);
      });
    }
    let message: TrialMessage | undefined;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, LIMIT_MINUTES * 60_000);
    child.on('message', (received: TrialMessage) => {
      message = received;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (late) reject(new Error(`took longer than ${LIMIT_MINUTES} minutes`));
      else if (message === undefined) reject(new Error(`${describeDeath(code, signal)}\n${output}`));
      else if (message.status === 'done') resolve(message.result as Awaited<ReturnType<Trials[Kind]>>);
      else
        reject(
          message.status === 'unavailable' ? new Unavailable(message.reason) : new Error(message.reason),
        );
    });
  });
}

function describeDeath(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === 'SIGKILL') return 'the process was killed, as happens where memory runs out';
  return `the process ended with ${signal ?? `code ${code}`} and without a result`;
}
