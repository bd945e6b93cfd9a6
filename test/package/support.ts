// Temporary projects, a stand-in for the tfjs-node package, and scripts run as users run them.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** An empty folder that goes at the end of the test. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-test-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return fs.realpathSync(folder);
}

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  /** Resolves when the output contains `text`. */
  sees(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  outcome: Promise<Outcome>;
}

/** Starts a program; every environment variable given as undefined is taken away. */
export function start(
  command: string,
  args: string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string | undefined> } = {},
): Running {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const sees = async (text: string) => {
    let ended = false;
    outcome.finally(() => {
      ended = true;
    });
    while (!(stdout + stderr).includes(text)) {
      if (ended) throw new Error(`ended without printing ${JSON.stringify(text)}:\n${stdout}${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { sees, kill: (signal) => child.kill(signal), outcome };
}

/** Runs a Node program to its end. */
export function runNode(
  args: string[],
  options?: { cwd?: string; env?: Record<string, string | undefined> },
): Promise<Outcome> {
  return start(process.execPath, args, options).outcome;
}

/** Every file and link below a folder with its size: equal lists, equal trees. */
export function listTree(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !fs.lstatSync(file).isDirectory())
    .map((file) => `${path.relative(folder, file)} ${fs.lstatSync(file).size}`)
    .sort();
}

/** A folder with programs (shell scripts), to stand first or alone on the PATH. */
export function programFolder(programs: Record<string, string>): string {
  const folder = temporaryFolder();
  for (const [name, script] of Object.entries(programs)) {
    fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return folder;
}

/** The little of tfjs that the verification calls; as the real package, it fails without its binding. */
const FAKE_INDEX = `
const fs = require('fs');
const path = require('path');
const binding = path.join(__dirname, '..', 'lib', 'napi-v8', 'tfjs_binding.node');
if (!fs.existsSync(binding)) throw new Error('no binding at ' + binding);
if (fs.readFileSync(binding, 'utf8') === 'broken') throw new Error('invalid ELF header');
exports.tidy = (f) => f();
exports.tensor1d = (values) => values;
exports.add = (a, b) => ({ dataSync: () => a.map((x, i) => x + b[i]) });
exports.getBackend = () => 'tensorflow';
exports.backend = () => ({ binding: { TF_Version: '9.9.9-fake' } });
`;

/** What the fake package's install script does. */
export const INSTALL_SCRIPTS = {
  works: `
    const fs = require('fs');
    fs.mkdirSync('deps/lib', { recursive: true });
    fs.writeFileSync('deps/lib/libtensorflow.so', 'library');
    fs.mkdirSync('lib/napi-v8', { recursive: true });
    fs.writeFileSync('lib/napi-v8/tfjs_binding.node', 'binding');
    fs.appendFileSync(process.env.FAKE_INSTALL_LOG, 'installed ' + process.argv[2] + '\\n');`,
  fails: `
    const fs = require('fs');
    fs.mkdirSync('deps/lib', { recursive: true });
    fs.writeFileSync('deps/lib/libtensorflow.so', 'half a lib');
    fs.writeFileSync('package.json', '{"half": "written"}');
    console.error('download broke off');
    process.exit(1);`,
  hangs: `
    const fs = require('fs');
    fs.mkdirSync('deps/lib', { recursive: true });
    fs.writeFileSync('deps/lib/libtensorflow.so', 'half a lib');
    fs.writeFileSync(process.env.FAKE_INSTALL_LOG, String(process.pid));
    setInterval(() => {}, 1000);`,
};

export interface FakeProject {
  project: string;
  /** The fake tfjs-node package. */
  directory: string;
  /** File that the install script writes to. */
  log: string;
}

/** A project whose tfjs-node is a stand-in without network, libraries and compiler. */
export function fakeProject(installScript: string): FakeProject {
  const project = temporaryFolder();
  const directory = path.join(project, 'node_modules', '@tensorflow', 'tfjs-node');
  fs.mkdirSync(path.join(directory, 'dist'), { recursive: true });
  fs.mkdirSync(path.join(directory, 'scripts'));
  fs.writeFileSync(path.join(project, 'package.json'), '{"name": "project", "version": "1.0.0"}');
  const manifest = { name: '@tensorflow/tfjs-node', version: '0.0.1', main: 'dist/index.js' };
  fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify(manifest));
  fs.writeFileSync(path.join(directory, 'dist', 'index.js'), FAKE_INDEX);
  fs.writeFileSync(path.join(directory, 'scripts', 'install.js'), installScript);
  return { project, directory, log: path.join(project, 'install.log') };
}

/** Gives a fake package a binding. */
export function writeBinding(directory: string, content = 'binding'): string {
  const file = path.join(directory, 'lib', 'napi-v8', 'tfjs_binding.node');
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}
