/** The authors' trajectories on DeviceBuffers. */
import { it } from 'vitest';
import { startDeviceReplay } from '../backends/arrays_replay.js';
import { cases, checkGolden, layouts } from '../backends/golden_check.js';
import { describeOnDevice } from './device.js';

describeOnDevice('golden trajectories on a CUDA device', () => {
  it.each(cases.flatMap((golden) => layouts.map((layout) => [golden.name, layout, golden] as const)))(
    '%s, %s layout',
    async (_name, layout, golden) => {
      await checkGolden('tfjs-ftp/native on a CUDA device', golden, layout, startDeviceReplay);
    },
  );
});
