// npm shows nothing of what an install script prints: whoever waits for a compiler is told past npm.
import fs from 'node:fs';
import tty from 'node:tty';

/** npm's spinner may stand on the line. */
const CLEAR_LINE = '\r\x1b[K';

/**
 * Writes lines to the terminal that the user looks at; null where they would see them anyway, where there is no
 * terminal, in CI and under `npm --silent`.
 * @param {NodeJS.ProcessEnv} env
 * @returns {((line: string) => void) | null}
 */
export function openTerminal(env) {
  const inCi = env.CI !== undefined && !['', '0', 'false'].includes(env.CI);
  if (process.stdout.isTTY || inCi || env.npm_config_loglevel === 'silent') return null;
  let terminal;
  try {
    terminal = fs.openSync('/dev/tty', 'w');
  } catch {
    return null;
  }
  if (!tty.isatty(terminal)) {
    fs.closeSync(terminal);
    return null;
  }
  return (line) => {
    try {
      fs.writeSync(terminal, `${CLEAR_LINE}${line}\n`);
    } catch {
      // It was closed meanwhile: nobody looks.
    }
  };
}

/**
 * To be called every few seconds of a long piece of work: writes after 5 s how long it has taken, then every 15 s.
 * @param {(line: string) => void} write
 * @param {string} what is going on
 */
export function elapsedLines(write, what) {
  const start = performance.now();
  let next = 5;
  return () => {
    const elapsed = Math.round((performance.now() - start) / 1000);
    if (elapsed < next) return;
    write(`${what}, ${elapsed} s so far`);
    next = elapsed + 15;
  };
}
