/** The error for what a variable starts from. No tfjs here. */

import { FtpError } from '../errors.js';

/** The error for a variable that starts from NaN or an infinity. */
export function nonFiniteStart(what: 'weights' | 'anchor', name: string): FtpError {
  return new FtpError(
    'NON_FINITE_WEIGHTS',
    `${what} of '${name}' hold${what === 'anchor' ? 's' : ''} NaN or an infinity; nothing was changed. ` +
      "nonFinite: 'ignore' skips this check",
  );
}
