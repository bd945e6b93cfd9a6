/** Which packages code in a project, and the packages that it uses, would load: as Node resolves them. */

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export interface PackageCopy {
  version: string;
  path: string;
}

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

export const CORE = '@tensorflow/tfjs-core';

/** Packages that lead to a copy of tfjs-core. */
const TFJS_PACKAGES = [
  '@tensorflow/tfjs',
  '@tensorflow/tfjs-layers',
  '@tensorflow/tfjs-data',
  '@tensorflow/tfjs-converter',
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-node-gpu',
  '@tensorflow/tfjs-backend-cpu',
  '@tensorflow/tfjs-backend-wasm',
  '@tensorflow/tfjs-backend-webgl',
  '@tensorflow/tfjs-backend-webgpu',
];

function readManifest(directory: string): Manifest {
  return JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')) as Manifest;
}

export function describePackage(directory: string): PackageCopy {
  return { version: readManifest(directory).version, path: directory };
}

/** The real folder of the package `name` that a file in `folder` would load, or null. */
function resolvePackage(name: string, folder: string): string | null {
  for (const base of createRequire(path.join(folder, 'package.json')).resolve.paths(name) ?? []) {
    const manifest = path.join(base, name, 'package.json');
    if (fs.existsSync(manifest)) return path.dirname(fs.realpathSync(manifest));
  }
  return null;
}

/** Names that a package's own code may import. */
function declared(manifest: Manifest): Set<string> {
  const { dependencies, optionalDependencies, peerDependencies } = manifest;
  return new Set(Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }));
}

/** The nearest folder, this one or above it, that has `entry`; else null. */
function nearest(folder: string, entry: string): string | null {
  for (let current = path.resolve(folder); ; current = path.dirname(current)) {
    if (fs.existsSync(path.join(current, entry))) return current;
    if (current === path.dirname(current)) return null;
  }
}

/**
 * The package that a project uses under this name, or null: one that its package.json names, wherever it is installed, or
 * one in its own node_modules. Node would find others in the folders above, which belong to other projects.
 */
function projectPackage(name: string, project: string): string | null {
  const home = nearest(project, 'package.json');
  if (home !== null) {
    const manifest = readManifest(home);
    if (declared(manifest).has(name) || manifest.devDependencies?.[name] !== undefined) {
      return resolvePackage(name, project);
    }
  }
  const own = nearest(project, 'node_modules');
  const inside = own !== null && fs.existsSync(path.join(own, 'node_modules', name, 'package.json'));
  return inside ? resolvePackage(name, project) : null;
}

/**
 * The package that code in `project` gets under this name, or null; else one that came with tfjs (as pnpm installs them)
 * or that tfjs-ftp has in its own node_modules (a clone).
 */
export function findPackage(name: string, project: string, ownRoot: string): string | null {
  const direct = projectPackage(name, project);
  if (direct !== null) return direct;
  const tfjs = projectPackage('@tensorflow/tfjs', project);
  if (tfjs !== null && declared(readManifest(tfjs)).has(name)) return resolvePackage(name, tfjs);
  return fs.existsSync(path.join(ownRoot, 'node_modules', name)) ? resolvePackage(name, ownRoot) : null;
}

/** Every copy of tfjs-core that can be loaded into one process: by the project, by tfjs-ftp, by the tfjs packages in use. */
export function findTfjsCore(project: string, ownRoot: string): PackageCopy[] {
  const copies = new Set<string>();
  const visited = new Set<string>();
  const addCore = (directory: string | null) => {
    if (directory !== null) copies.add(directory);
  };
  /** A package, and what it says that it needs. */
  const visit = (directory: string): void => {
    if (visited.has(directory)) return;
    visited.add(directory);
    const needs = declared(readManifest(directory));
    if (needs.has(CORE)) addCore(resolvePackage(CORE, directory));
    for (const name of TFJS_PACKAGES.filter((each) => needs.has(each))) {
      const next = resolvePackage(name, directory);
      if (next !== null) visit(next);
    }
  };
  addCore(projectPackage(CORE, project));
  addCore(resolvePackage(CORE, ownRoot));
  for (const name of TFJS_PACKAGES) {
    const used = projectPackage(name, project);
    if (used === null) continue;
    visit(used);
    // tfjs-ftp imports its peers itself, and may get another copy of them.
    const ours = declared(readManifest(ownRoot)).has(name) ? resolvePackage(name, ownRoot) : null;
    if (ours !== null) visit(ours);
  }
  return [...copies].sort().map(describePackage);
}
