// Prints one closing line with all counts: `Tests: 212 passed, 0 failed, 14 skipped`.
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

export default class CountReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      let failedTests = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test that never ran, because its file or the run broke, has not passed.
        const outcome = state === 'pending' ? 'failed' : state;
        count[outcome] += 1;
        if (outcome === 'failed') failedTests += 1;
      }
      // A file that cannot be loaded, or whose hooks fail, may have no failed test of its own.
      if (!module.ok() && failedTests === 0) count.failed += 1;
    }
    if (reason === 'interrupted' && count.failed === 0) count.failed = 1;
    process.stdout.write(`Tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
  }
}
