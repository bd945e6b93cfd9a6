// Child processes of the set-up scripts: bounded in time, killed with their whole group, never asking.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const running = new Set();
const cleanups = new Set();
let handlersInstalled = false;

function killGroup(child, signal) {
  try {
    if (process.platform === 'win32') spawnSync('taskkill', ['/pid', String(child.pid), '/T', '/F']);
    else process.kill(-child.pid, signal);
  } catch {
    // It has ended already.
  }
}

function runCleanups() {
  for (const child of running) killGroup(child, 'SIGKILL');
  for (const cleanup of cleanups) {
    cleanups.delete(cleanup);
    cleanup();
  }
}

/**
 * Registers a synchronous function that runs at exit, and on Ctrl-C after every child has been killed.
 * @returns {() => void} runs it now and forgets it
 */
export function onExit(cleanup) {
  if (!handlersInstalled) {
    handlersInstalled = true;
    process.on('exit', runCleanups);
    for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
      process.on(signal, () => process.exit(code));
    }
  }
  cleanups.add(cleanup);
  return () => {
    if (cleanups.delete(cleanup)) cleanup();
  };
}

/** Bytes below a folder; files that vanish meanwhile count nothing. */
export function folderSize(directory) {
  let total = 0;
  let entries = [];
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true });
  } catch {
    return 0;
  }
  for (const entry of entries) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) total += folderSize(file);
    else if (entry.isFile()) {
      try {
        total += fs.statSync(file).size;
      } catch {
        // Gone since readdir.
      }
    }
  }
  return total;
}

/**
 * Runs a command to its end and collects its output.
 *
 * @param {string} command program; a missing one is reported as `missing: true`, not thrown
 * @param {string[]} args
 * @param {object} [options]
 * @param {string} [options.cwd]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {number} [options.timeout] ms until it is killed (default 20 minutes)
 * @param {number} [options.stall] ms without output and without growth of `watch` until it is killed (default never)
 * @param {string} [options.watch] folder whose size shows progress
 * @param {(bytes: number) => void} [options.onProgress] called every 5 s with the size of `watch`
 * @param {boolean} [options.inherit] show the output instead of collecting it
 * @returns {Promise<{code: number | null, output: string, stdout: string, missing: boolean, stopped: string | null}>}
 *   `stopped` says why it was killed
 */
export function run(command, args, options = {}) {
  const { cwd, env = process.env, timeout = 20 * 60_000, stall = 0, watch, onProgress, inherit } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', inherit ? 'inherit' : 'pipe', inherit ? 'inherit' : 'pipe'],
      detached: process.platform !== 'win32' && !inherit,
      windowsHide: true,
    });
    const forget = onExit(() => running.delete(child));
    running.add(child);
    let output = '';
    let stdout = '';
    let stopped = null;
    let lastActivity = Date.now();
    let lastSize = 0;
    const stop = (reason) => {
      stopped ??= reason;
      killGroup(child, 'SIGKILL');
    };
    const timer = setTimeout(() => stop(`it took longer than ${Math.round(timeout / 1000)} s`), timeout);
    const watcher = setInterval(
      () => {
        const size = watch ? folderSize(watch) : 0;
        if (size !== lastSize) lastActivity = Date.now();
        lastSize = size;
        onProgress?.(size);
        if (stall > 0 && Date.now() - lastActivity > stall) {
          stop(`nothing happened for ${Math.round(stall / 1000)} s`);
        }
      },
      Math.min(5000, stall > 0 ? stall / 4 : 5000),
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        lastActivity = Date.now();
        output += chunk;
        if (stream === child.stdout) stdout += chunk;
      });
    }
    const finish = (code, missing) => {
      clearTimeout(timer);
      clearInterval(watcher);
      running.delete(child);
      forget();
      resolve({ code, output, stdout, missing, stopped });
    };
    child.on('error', (error) => {
      output += error.message;
      finish(null, error.code === 'ENOENT');
    });
    child.on('close', (code) => finish(code, false));
  });
}

/** The last lines of a tool's output, indented, for an error message. */
export function tail(output, lines = 15) {
  return output
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `    ${line}`)
    .join('\n');
}
