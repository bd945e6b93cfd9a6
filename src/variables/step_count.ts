import { FtpError } from '../errors.js';

/** Step counts are saved and handed to the kernels as int32. */
const MOST_STEPS = 2 ** 31 - 1;

/**
 * Checks that a count after the next step is int32: a loaded state can bring it close to the end.
 *
 * @throws FtpError STATE_MISMATCH.
 */
export function checkStepCount(count: number): void {
  if (count <= MOST_STEPS) return;
  throw new FtpError(
    'STATE_MISMATCH',
    `this would be step ${count}, but step counts are int32 and end at ${MOST_STEPS}; nothing was changed. The ` +
      "counts came with the state: in saved weights as 'iter' and '<variable>/steps'",
  );
}
