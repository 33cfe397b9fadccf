import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Snapshot } from '../../../services/console/look/snapshot.ts';
import { createPipeline, eventually, type Pipeline, type ServiceProcess } from '../../helpers/pipeline.ts';
import { sendAll } from '../../helpers/queues.ts';
import { settled } from '../../helpers/settle.ts';

const login = (i: number, more: object = {}) =>
  JSON.stringify({
    user_id: `CANARY-USER-${i}`,
    app_version: '2.3.0',
    device_type: 'iOS',
    ip: `203.0.113.${i}`,
    locale: null,
    device_id: `CANARY-DEVICE-${i}`,
    ...more,
  });

let pipeline: Pipeline;
let writer: ServiceProcess;

beforeAll(async () => {
  pipeline = await createPipeline(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    { partitions: 3 },
  );
  await pipeline.start('connector');
  writer = await pipeline.start('writer');
  await sendAll(pipeline.queue, [
    ...Array.from({ length: 90 }, (_, i) => login(i)),
    ...Array.from({ length: 7 }, (_, i) => login(i, { ip: `CANARY-IP-${i}` })),
  ]);
  await settled(pipeline);
}, 120_000);
afterAll(() => pipeline[Symbol.asyncDispose]());

async function statusJson(env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await pipeline.runWith(env, 'status', '--json');
  const snapshot: Snapshot = JSON.parse(stdout);
  return { code, snapshot, everything: stdout + stderr };
}

test('says what is there: rows, dead letters by code, days, keys and the proof, and nothing of anybody', async () => {
  let answer = await statusJson();
  // The offsets of the last batch are committed a moment after its rows.
  await eventually('everything committed', async () => {
    answer = await statusJson();
    return answer.snapshot.topic.ok && answer.snapshot.topic.value.lag === 0;
  });
  const { code, snapshot, everything } = answer;
  expect(snapshot.queue).toMatchObject({ ok: true, value: { visible: 0, delayed: 0 } });
  expect(snapshot.topic).toMatchObject({ value: { members: 1, groupState: 'Stable', lag: 0 } });
  expect(snapshot.ledger).toMatchObject({ value: { proven: true, read: 97, inserted: 90, dead: 7 } });
  expect(snapshot.deadLetters).toMatchObject({
    value: { open: 7, lastHour: 7, codes: [{ code: 'IP_ADDRESS', open: 7 }] },
  });
  expect(snapshot.days).toMatchObject({ value: { partitionDays: 7, keyDays: 7 } });
  if (!snapshot.rows.ok) throw new Error(snapshot.rows.reason);
  const { minutes, hour, sampled } = snapshot.rows.value;
  expect(minutes).toHaveLength(60);
  expect(minutes.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(90);
  expect(sampled).toBe(90);
  expect(hour?.p50).toBeGreaterThan(0);
  // Dead letters of this hour are to be looked at.
  expect(code).toBe(1);
  expect(snapshot.verdict.sentence).toBe('attention: 7 dead letters in the last hour: IP_ADDRESS');
  for (const canary of ['CANARY', '203.0.113.']) expect(everything).not.toContain(canary);
});

test('for people, the verdict is the first line', async () => {
  const { stdout } = await pipeline.run('status');
  const [first, , ...lines] = stdout.split('\n');
  expect(first).toMatch(/^attention: 7 dead letters/);
  expect(lines.join('\n')).toMatch(/queue +0 waiting/);
  expect(lines.join('\n')).toContain('proven: 97 read = 90 inserted + 0 duplicate + 7 dead');
});

test('a writer that is gone is told, with what waits for it', async () => {
  await writer.kill('SIGTERM');
  await sendAll(
    pipeline.queue,
    Array.from({ length: 5 }, (_, i) => login(i)),
  );
  await eventually('five records', async () => {
    const { snapshot } = await statusJson();
    return snapshot.topic.ok && snapshot.topic.value.lag === 5;
  });
  const { code, snapshot } = await statusJson();
  expect(code).toBe(1);
  expect(snapshot.verdict.state).toBe('behind');
  expect(snapshot.verdict.sentence).toContain(`because no writer is in the group ${pipeline.group}`);
});

test('a server that is down is named, and the others are looked at', async () => {
  const { code, snapshot } = await statusJson({
    MONITOR_DATABASE_URL: 'postgres://sluice_monitor:x@127.0.0.1:1/sluice',
    SERVICE_URLS: 'http://127.0.0.1:1',
  });
  expect(code).toBe(1);
  expect(snapshot.verdict.sentence).toContain('cannot be seen (DATABASE_UNAVAILABLE)');
  expect(snapshot.queue.ok).toBe(true);
  expect(snapshot.topic.ok).toBe(true);
  expect(snapshot.services).toMatchObject([{ state: 'silent' }]);
});
