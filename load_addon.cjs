/**
 * Finds and loads the compiled addon. Plain CommonJS at the package root, so that src/, dist/, cjs/ and the install
 * script all reach the same one.
 *
 * Order: the file named by `TFJS_FTP_ADDON` (then nothing else is tried; `TFJS_FTP_ADDON=none` behaves as if there
 * were none), build/Release, build/Debug, prebuilds/<platform>-<arch>. A build made on this machine comes before the
 * prebuild that was downloaded, because somebody asked for it; one that does not load, or that was made from another
 * version of this package, is passed over. Among prebuilds node-gyp-build's rules pick the file for this runtime, ABI
 * and C library.
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
    // Its rules alone: node-gyp-build's own search would stop at a build/ that is there and does not load.
    const { parseTags, matchTags, compareTags } = require('node-gyp-build');
    const runtime = process.versions.electron ? 'electron' : 'node';
    const matching = fs
      .readdirSync(directory)
      .map(parseTags)
      .filter(matchTags(runtime, process.versions.modules));
    const [best] = matching.sort(compareTags(runtime));
    if (best === undefined) return { path: directory, reason: 'no file for this runtime and C library' };
    return { path: path.join(directory, best.file), reason: null };
  } catch (error) {
    return { path: directory, reason: error.message.trim().split('\n')[0] };
  }
}

/** The version in the package's manifest; undefined where there is none (tests). */
function packageVersion(root) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version;
  } catch {
    return undefined;
  }
}

/** Files to try, in order; `version` is what they must have been made from, if that matters. */
function candidates(root) {
  const named = process.env.TFJS_FTP_ADDON;
  if (named === 'none') return [{ path: 'TFJS_FTP_ADDON=none', reason: 'switched off' }];
  if (named) return [{ path: path.resolve(named), reason: null }];
  const version = packageVersion(root);
  return [
    { path: path.join(root, 'build', 'Release', 'tfjs_ftp.node'), reason: null },
    { path: path.join(root, 'build', 'Debug', 'tfjs_ftp.node'), reason: null },
    findPrebuild(root),
  ].map((candidate) => ({ ...candidate, version }));
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
        const addon = require(candidate.path);
        if (candidate.version !== undefined && addon.version !== candidate.version) {
          throw new Error(`made from version ${addon.version} of tfjs-ftp, this is ${candidate.version}`);
        }
        return { addon, path: candidate.path, tried };
      } catch (failure) {
        error = failure;
        candidate.reason = failure.message;
      }
    }
    tried.push({ path: candidate.path, reason: candidate.reason });
  }
  return { error: error ?? new Error('the compiled addon was not found'), tried };
};
