#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
// Kills a training process with checkpoints at random moments, 50 times or as often as the first argument says, and checks
// that it ends with the bits of a run that was not killed. The second argument: the seed of the moments.
import path from 'node:path';
import { root } from '../lib/root.mjs';

const [kills = '50', seed = '1'] = process.argv.slice(2);
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/checkpoint/kill.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, TFJS_FTP_KILLS: kills, TFJS_FTP_KILL_SEED: seed },
});
process.exitCode = status ?? 1;
