#!/usr/bin/env node
// Reads every prebuilds/linux-*/*.node: built for its folder's architecture, needing no library but those that Node itself
// needs, no newer versions of them than the baseline has, no search path, exporting nothing but a Node-API module.
// Lists the files of other systems with their sizes. `npm run check:prebuilds`.
//
//   --dir FOLDER          that holds prebuilds/ (default: the repository)
//   --baseline NAME       debian_12 (the default: what a build on Debian 12 needs), manylinux_2_28 (releases), or any: whatever
//                         this machine has
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { reporter, reportFailure, SetupError } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { readElf } from './elf.mjs';
import { BASELINES, problemsOf } from './prebuild_rules.mjs';

/** Prebuilt files below a folder: [{target, file}]. */
function findPrebuilds(folder) {
  const prebuilds = path.join(folder, 'prebuilds');
  const targets = fs.existsSync(prebuilds) ? fs.readdirSync(prebuilds).sort() : [];
  return targets.flatMap((target) =>
    fs
      .readdirSync(path.join(prebuilds, target))
      .filter((name) => name.endsWith('.node'))
      .map((name) => ({ target, file: path.join(prebuilds, target, name) })),
  );
}

async function check({ target, file }, baseline, say) {
  const name = path.join(target, path.basename(file));
  const size = `${fs.statSync(file).size} bytes`;
  const [platform, arch] = target.split('-');
  if (platform !== 'linux') {
    say(`${name}: ${size}; not an ELF file, not examined`);
    return 0;
  }
  const facts = await readElf(file);
  const newest = Object.entries(facts.versions).map(([kind, version]) => `${kind}_${version}`);
  say(`${name}: ${size}; needs ${facts.needed.join(', ')}; ${newest.join(', ')}`);
  const problems = problemsOf(facts, arch, baseline);
  for (const problem of problems) console.error(`${name}: ${problem}`);
  return problems.length;
}

async function main() {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string', default: root },
      baseline: { type: 'string', default: 'debian_12' },
    },
  });
  const baseline = BASELINES[values.baseline];
  if (baseline === undefined) {
    throw new SetupError(`--baseline must be ${Object.keys(BASELINES).join(', ')}, got ${values.baseline}`);
  }
  const say = reporter('check:prebuilds');
  const prebuilds = findPrebuilds(path.resolve(values.dir));
  if (prebuilds.length === 0)
    throw new SetupError(`${values.dir} holds no prebuilds`, 'Make them: npm run prebuild');
  let problems = 0;
  for (const prebuild of prebuilds) problems += await check(prebuild, baseline, say);
  if (problems > 0) throw new SetupError(`${problems} problems against ${values.baseline}`);
  say(`${prebuilds.length} files fit ${values.baseline}`);
}

main().catch((error) => {
  reportFailure('check:prebuilds', error);
  process.exitCode = 1;
});
