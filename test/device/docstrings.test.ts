/** The examples in docstrings that use a CUDA device if there is one, where there is one. */
import { expect, it } from 'vitest';
import { examplesIn, runExample } from '../package/docstring_examples.js';
import { describeOnDevice } from './device.js';

const examples = ['src/native/index.ts', 'src/native/device_buffer.ts']
  .flatMap(examplesIn)
  .filter(({ code }) => code.includes('DeviceBuffer'));

describeOnDevice('examples in docstrings on a CUDA device', () => {
  it('are found', () => expect(examples).toHaveLength(2));

  it('of DeviceBuffer', () => {
    const { code } = examples.find(({ file }) => file === 'src/native/device_buffer.ts') as { code: string };
    expect(runExample(code)).toBe('Float32Array(4) [ 1, 7, 8, 4 ]\n');
  });

  it('of createFusedStep', () => {
    const { code } = examples.find(({ file }) => file === 'src/native/index.ts') as { code: string };
    expect(runExample(code)).toMatch(/^Float32Array\(6\) [\s\S]*name: 'kernel',\s+gamma: 9\.99/);
  });
});
