/** Suite `step`, in a child process: public optimizers in turns over one list on one backend. */

import { startBackend } from './backends.js';
import { STEP_BASELINES, stepContender } from './contenders.js';
import { listNamed, parametersOf, sizeOf } from './lists/index.js';
import { interleave } from './measure.js';
import type { StepRun } from './schema.js';
import type { StepSpec } from './specs.js';
import { makeGradients, Subject } from './subject.js';
import { summarizeRun } from './timed.js';

/** Steps 1 and 2 allocate and form deviations from the weights; from the third on, all are alike. */
const WARM_UP_STEPS = 3;

export async function runStepTrial(spec: StepSpec): Promise<StepRun> {
  const { backend } = spec;
  const tensorflow = await startBackend(backend);
  const list = listNamed(spec.list);
  const gradients = makeGradients(list);
  const subjects = spec.contenders.map((name) => new Subject(stepContender(name), list, gradients));
  const samples = await interleave(subjects, { ...spec.timing, warmUpSteps: WARM_UP_STEPS });
  for (const subject of subjects) subject.check();
  const contenders = subjects.map((subject, i) => ({
    name: subject.name,
    label: subject.contender.label,
    implementation: subject.implementation,
    bytesPerParameter: subject.contender.bytes,
    ...(samples[i] as (typeof samples)[number]),
  }));
  return {
    backend,
    tensorflow,
    list: sizeOf(list),
    contenders: summarizeRun(contenders, parametersOf(list), STEP_BASELINES),
  };
}
