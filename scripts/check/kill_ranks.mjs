#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
// Kills a rank of a parallel training at random moments, 20 times under each MPI or as often as the first argument says, and checks that
// the job ends, and that the next one goes on with the same bits. The second argument: the seed of the moments.
import path from 'node:path';
import { root } from '../lib/root.mjs';

const [kills = '20', seed = '1'] = process.argv.slice(2);
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', 'test/parallel/failures.test.ts', '-t', 'is killed'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, TFJS_FTP_KILLS: kills, TFJS_FTP_KILL_SEED: seed } },
);
process.exitCode = status ?? 1;
