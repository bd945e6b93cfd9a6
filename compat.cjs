/**
 * tfjs-ftp/compat: lets published @tensorflow/tfjs-node (4.22.0 and older) run on Node 23 and newer.
 *
 * tfjs-node calls `util.isNullOrUndefined` and `util.isArray`, which Node 23 removed. This module puts
 * equivalents back where they are missing, and does nothing elsewhere. tfjs-node looks them up when an op
 * runs, so this may be loaded before or after it:
 *
 *     import 'tfjs-ftp/compat';                      // or: node --import tfjs-ftp/compat script.mjs
 *     import * as tf from '@tensorflow/tfjs-node';
 */
'use strict';

const util = require('node:util');

const removedFromUtil = {
  isArray: Array.isArray,
  isNullOrUndefined: (value) => value === null || value === undefined,
};

for (const [name, implementation] of Object.entries(removedFromUtil)) {
  if (typeof util[name] !== 'function') {
    Object.defineProperty(util, name, { value: implementation, configurable: true, writable: true });
  }
}
