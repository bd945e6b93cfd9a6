// Lines printed by the set-up scripts, and the error that ends one of them.

/** Something that the user can act on: a message, and what to do about it. Printed without a stack. */
export class SetupError extends Error {
  /**
   * @param {string} message what went wrong
   * @param {string} [advice] what to install or to do
   */
  constructor(message, advice) {
    super(message);
    this.name = 'SetupError';
    this.advice = advice;
  }
}

/**
 * @param {string} prefix printed before each line, so that lines of nested scripts can be told apart
 * @returns {(line: string) => void}
 */
export function reporter(prefix) {
  return (line) => {
    process.stdout.write(`${prefix}: ${line}\n`);
  };
}

/** Prints an error of a set-up script the way users should see it: a SetupError without a stack. */
export function reportFailure(prefix, error) {
  if (error instanceof SetupError) {
    const lines = [error.message, ...(error.advice ? error.advice.split('\n') : [])];
    for (const line of lines.join('\n').split('\n')) process.stderr.write(`${prefix}: ${line}\n`);
  } else {
    process.stderr.write(`${prefix}: ${error?.stack ?? error}\n`);
  }
}

/** Time since `start` (performance.now()) in words. */
export function seconds(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** A size in words: 273 MB. */
export function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}
