import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Finding } from '../../../services/doctor/finding.ts';
import { createPipeline, type Pipeline } from '../../helpers/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await createPipeline({
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  });
});
afterAll(() => pipeline[Symbol.asyncDispose]());

async function doctor(env: Readonly<Record<string, string>> = {}, ...args: string[]) {
  const { code, stdout, stderr } = await pipeline.runWith(env, 'doctor', '--json', ...args);
  const { findings = [] }: { findings?: Finding[] } = stdout === '' ? {} : JSON.parse(stdout);
  const wrong = findings.filter(({ state }) => state === 'fail').map(({ area, what }) => `${area}: ${what}`);
  return { code, findings, wrong, stderr };
}

test('finds topics that are not as the settings want them, and says what mends it, which does', async () => {
  const before = await doctor();
  expect(before.code).toBe(1);
  const wrong = before.findings.filter(({ state }) => state === 'fail');
  expect(wrong.map(({ what }) => what.replace(/ of .*/, ''))).toEqual(['retention.ms', 'retention.ms']);
  for (const { todo } of wrong) expect(todo).toContain('sluice maintain');
  expect((await pipeline.run('maintain')).code).toBe(0);
  const after = await doctor();
  expect(after.wrong).toEqual([]);
  expect(after.code).toBe(0);
  for (const area of ['settings', 'postgres', 'kafka', 'sqs', 'vault', 'archive']) {
    expect(after.findings.some((one) => one.area === area && one.state === 'ok')).toBe(true);
  }
});

test('a login with more rights than it needs, one with fewer, and one that does not get in', async () => {
  const { urls } = pipeline.database;
  const { wrong } = await doctor({
    DATABASE_URL: urls.recoverer,
    OPERATOR_DATABASE_URL: urls.admin,
    MONITOR_DATABASE_URL: urls.monitor.replace('test-monitor', 'CANARY-PASSWORD'),
    TOKENS_DATABASE_URL: 'postgres://x:y@127.0.0.1:1/z',
  });
  expect(wrong).toContainEqual(
    expect.stringMatching(/DATABASE_URL \(sluice_recoverer\) lacks insert on user_logins/),
  );
  expect(wrong).toContainEqual(expect.stringMatching(/OPERATOR_DATABASE_URL logs in as the superuser/));
  expect(wrong).toContainEqual(
    expect.stringMatching(/MONITOR_DATABASE_URL does not get in.*DATABASE_FORBIDDEN/),
  );
  expect(wrong).toContainEqual(
    expect.stringMatching(/TOKENS_DATABASE_URL does not get in.*DATABASE_UNAVAILABLE/),
  );
  expect(JSON.stringify(wrong)).not.toContain('CANARY');
});

test('settings: wrong ones always, missing ones of those that are asked for', async () => {
  const { findings, code } = await doctor(
    { SQS_QUEUE_URL: '', TOPIC_PARTITIONS: 'CANARY' },
    '--for',
    'connector',
  );
  expect(code).toBe(1);
  const of = (process: string) =>
    findings.find(({ area, what }) => area === 'settings' && what.startsWith(`${process}:`));
  expect(of('connector')).toMatchObject({ state: 'fail', what: 'connector: SQS_QUEUE_URL is not set' });
  expect(of('status')).toMatchObject({ state: 'skipped' });
  expect(of('maintain')?.state).toBe('fail');
  expect(of('writer')?.state).toBe('ok');
  expect(JSON.stringify(findings)).not.toContain('CANARY');
  const unknown = await doctor({}, '--for', 'nobody');
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain('--for takes connector, writer');
});

test('servers that are down are named', async () => {
  const { wrong, findings } = await doctor({
    KAFKA_BROKERS: '127.0.0.1:1',
    AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:1',
    SERVICE_URLS: 'http://127.0.0.1:1',
    JAEGER_URL: 'http://127.0.0.1:1',
  });
  expect(wrong).toContainEqual(expect.stringContaining('KAFKA_UNAVAILABLE'));
  expect(wrong).toContainEqual(expect.stringContaining('SQS_UNAVAILABLE'));
  expect(wrong).toContainEqual(expect.stringContaining('http://127.0.0.1:1 does not answer'));
  expect(wrong).toContainEqual(expect.stringContaining('Jaeger does not answer'));
  expect(findings.filter(({ state, todo }) => state === 'fail' && todo === null)).toEqual([]);
});
