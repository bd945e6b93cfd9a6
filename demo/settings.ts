/** The numbers of each method. For the page, too: nothing here needs tfjs. */

export const METHOD_NAMES = ['adamw', 'l2sp', 'probe', 'ftp', 'ftp-sgd'] as const;
export type MethodName = (typeof METHOD_NAMES)[number];

/** What a run of a method may change. */
export interface MethodSettings {
  learningRate: number;
  /** L2-SP: weight of the squared distance to the pre-trained weights in the loss. */
  strength?: number;
}

/**
 * The settings that `npm run demo:select` chose: the highest accuracy on validation fonts of the target domain, of equals the
 * lowest loss there. No other domain was looked at.
 */
export const SETTINGS: Record<MethodName, MethodSettings> = {
  adamw: { learningRate: 1e-3 },
  l2sp: { learningRate: 3e-3, strength: 1e-2 },
  probe: { learningRate: 3e-2 },
  ftp: { learningRate: 1e-2 },
  'ftp-sgd': { learningRate: 1e-1 },
};
