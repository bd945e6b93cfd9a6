/**
 * Finds and loads the compiled addon. Plain CommonJS at the package root, so that src/, dist/, cjs/ and the install
 * script all reach the same one.
 *
 * Order: the file named by `TFJS_FTP_ADDON` (then nothing else is tried; `TFJS_FTP_ADDON=none` behaves as if there
 * were none), build/Release, build/Debug (a build on this machine), prebuilds/<platform>-<arch> (the file that
 * node-gyp-build picks for this runtime, ABI and C library).
 *
 * Nothing here throws or prints: the caller decides whether a missing addon is an error or a reason to use the
 * reference implementation.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');

/** The prebuilt file for this platform, or the reason why there is none. */
function findPrebuild(root) {
  const directory = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  if (!fs.existsSync(directory)) return { path: directory, reason: 'no such folder' };
  try {
    const found = require('node-gyp-build').path(root);
    // It looks into build/ first: a build that is there and does not load has been tried before.
    if (!found.startsWith(directory)) return { path: directory, reason: 'not tried, build/ comes first' };
    return { path: found, reason: null };
  } catch (error) {
    return { path: directory, reason: error.message.trim().split('\n')[0] };
  }
}

function candidates(root) {
  const named = process.env.TFJS_FTP_ADDON;
  if (named === 'none') return [{ path: 'TFJS_FTP_ADDON=none', reason: 'switched off' }];
  if (named) return [{ path: path.resolve(named), reason: null }];
  return [
    { path: path.join(root, 'build', 'Release', 'tfjs_ftp.node'), reason: null },
    { path: path.join(root, 'build', 'Debug', 'tfjs_ftp.node'), reason: null },
    findPrebuild(root),
  ];
}

/**
 * @param {string} [root] the package folder (default: this file's), for tests
 * @returns {{addon?: object, path?: string, error?: Error, tried: {path: string, reason: string}[]}}
 *   `addon` and the `path` it came from, or the last `error`; `tried` holds each path that did not work.
 */
module.exports = function loadAddon(root = __dirname) {
  const tried = [];
  let error;
  for (const candidate of candidates(root)) {
    if (candidate.reason === null && !fs.existsSync(candidate.path)) candidate.reason = 'no such file';
    if (candidate.reason === null) {
      try {
        return { addon: require(candidate.path), path: candidate.path, tried };
      } catch (failure) {
        error = failure;
        candidate.reason = failure.message;
      }
    }
    tried.push({ path: candidate.path, reason: candidate.reason });
  }
  return { error: error ?? new Error('the compiled addon was not found'), tried };
};
