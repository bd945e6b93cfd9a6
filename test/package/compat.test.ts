// tfjs-ftp/compat on a Node whose util lacks what Node 23 removed, which is imitated by taking it away.
import path from 'node:path';
import { expect, test } from 'vitest';
import { root, runNode } from './support.js';

const compat = JSON.stringify(path.join(root, 'compat.cjs'));

test('puts back the functions that tfjs-node calls', async () => {
  const script = `
    const util = require('util');
    delete util.isArray; delete util.isNullOrUndefined;
    require(${compat});
    console.log([null, undefined, 0, '', false].map((x) => util.isNullOrUndefined(x)).join(),
                [[], [1], {length: 1}, 'a', null].map((x) => util.isArray(x)).join());`;
  const { stdout, stderr } = await runNode(['-e', script]);
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe('true,true,false,false,false true,true,false,false,false');
});

test('leaves functions that are there alone', async () => {
  const script = `
    const util = require('util');
    const own = () => 'own';
    util.isNullOrUndefined = own; util.isArray = own;
    require(${compat});
    console.log(util.isNullOrUndefined === own && util.isArray === own);`;
  expect((await runNode(['-e', script])).stdout.trim()).toBe('true');
});

test('can be imported under its public name, from both kinds of modules', async () => {
  const esm = await runNode(['--input-type=module', '-e', "import 'tfjs-ftp/compat'; console.log('esm')"]);
  const cjs = await runNode(['-e', "require('tfjs-ftp/compat'); console.log('cjs')"]);
  expect([esm.stdout.trim(), cjs.stdout.trim()]).toEqual(['esm', 'cjs']);
});
