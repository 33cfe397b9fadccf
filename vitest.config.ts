import { defineConfig } from 'vitest/config';
import { faultClusters } from './test/faults/clusters.ts';

/** Three tiers by suffix. A test file that no project picks up fails the run (test/tiers.test.ts). */
export default defineConfig({
  test: {
    reporters:
      process.env['SLUICE_TEST_REPORT'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: process.env['SLUICE_TEST_REPORT'] }]],
    projects: [
      {
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/**/*.{int,fault}.test.ts'] },
      },
      {
        test: {
          name: 'int',
          include: ['test/**/*.int.test.ts'],
          globalSetup: ['test/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // More than cores, which vitest would leave one of idle: a test of servers waits half its time.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'fault',
          include: ['test/**/*.fault.test.ts'],
          globalSetup: ['test/global-setup.ts', 'test/faults/global-setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          maxWorkers: faultClusters,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
