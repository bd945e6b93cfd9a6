/**
 * Finds and loads the compiled addon: build/Release, build/Debug (a developer's build), then
 * prebuilds/<platform>-<arch> (the file node-gyp-build picks for this runtime, ABI and C library).
 * `TFJS_FTP_ADDON` names one file to load instead; `TFJS_FTP_ADDON=none` behaves as if there were none.
 *
 * Nothing here throws: the caller decides whether a missing addon is an error or a reason to use the
 * reference implementation.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');

/** The prebuilt file for this platform, or the reason why there is none. */
function findPrebuild(root) {
  const directory = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  if (!fs.existsSync(directory)) return { path: directory, reason: 'no such folder' };
  const before = process.env.PREBUILDS_ONLY;
  try {
    // node-gyp-build reads PREBUILDS_ONLY when it is first loaded.
    process.env.PREBUILDS_ONLY = '1';
    return { path: require('node-gyp-build').path(root), reason: null };
  } catch (error) {
    return { path: directory, reason: error.message.trim().split('\n')[0] };
  } finally {
    if (before === undefined) delete process.env.PREBUILDS_ONLY;
    else process.env.PREBUILDS_ONLY = before;
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
