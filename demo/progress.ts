/** Progress bars on a terminal; nothing where the output goes to a file or a pipe. */
import { SingleBar } from 'cli-progress';

export interface ProgressBar {
  update(done: number, note?: string): void;
  stop(): void;
}

/** Starts a bar on stderr; it is silent where stderr is no terminal. */
export function progressBar(title: string, total: number): ProgressBar {
  if (!process.stderr.isTTY) return { update() {}, stop() {} };
  const bar = new SingleBar({
    format: `${title.padEnd(36)} {bar} {percentage}% | {eta_formatted} left | {note}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    barsize: 20,
  });
  bar.start(total, 0, { note: '' });
  return {
    update: (done, note) => bar.update(done, note === undefined ? {} : { note }),
    stop: () => bar.stop(),
  };
}
