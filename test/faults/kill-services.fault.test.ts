import { expect, inject, test } from 'vitest';
import { killAtRandom } from './kill.ts';

test('kill −9 of connector and writer at random moments under load: nothing lost, nothing twice', async () => {
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  const report = await killAtRandom(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    { rounds: 6, perSecond: 800, seed },
  );
  console.log(report);
  expect(report.sent).toBeGreaterThan(2_000);
  expect(report.rows + report.deadLetters).toBe(report.sent);
});
