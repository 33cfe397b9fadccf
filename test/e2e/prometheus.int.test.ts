import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { alertRules, root } from '../helpers/alert-rules.ts';
import { metricsPort } from '../helpers/metrics-port.ts';
import { createPipeline, eventually, type Pipeline } from '../helpers/pipeline.ts';
import { noPrometheusHere, startPrometheus, type TestPrometheus } from '../helpers/prometheus.ts';
import { metricsOf } from '../helpers/promql.ts';
import { sendAll } from '../helpers/queues.ts';
import { settled } from '../helpers/settle.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const good = {
  user_id: 'u',
  app_version: '2.3.0',
  device_type: 'iOS',
  ip: '203.0.113.7',
  locale: null,
  device_id: 'd',
};

/** Absent, and rightly so, while nothing fails, is opened or replayed, and neither archiving days nor backups are set up. */
const idle = new Set([
  'sluice_archive_last_timestamp_seconds',
  'sluice_archive_overdue_days',
  'sluice_backup_failures_total',
  'sluice_backup_last_timestamp_seconds',
  'sluice_dependency_failures_total',
  'sluice_recoveries_total',
  'sluice_replay_held',
  'sluice_replay_left_records',
  'sluice_replay_pace_records',
  'sluice_replay_position',
  'sluice_replay_records_total',
]);

const dashboards = readdirSync(`${root}deploy/grafana/dashboards`).flatMap((name) =>
  z
    .looseObject({
      panels: z.array(z.looseObject({ targets: z.array(z.looseObject({ expr: z.string() })).default([]) })),
    })
    .parse(JSON.parse(readFileSync(`${root}deploy/grafana/dashboards/${name}`, 'utf8')))
    .panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
);
const asked = new Set(
  [...dashboards, ...alertRules.map(({ expr }) => expr)].flatMap((one) => metricsOf(one)),
);

const ruleGroups = z.looseObject({
  groups: z.array(
    z.looseObject({
      rules: z.array(
        z.looseObject({
          name: z.string(),
          state: z.string(),
          health: z.string(),
          lastError: z.string().optional(),
        }),
      ),
    }),
  ),
});

let pipeline: Pipeline;
let prometheus: TestPrometheus | undefined;

beforeAll(async () => {
  pipeline = await createPipeline(servers, { partitions: 2, env: { METRICS_PORT: '0' } });
  const processes = [
    await pipeline.start('connector'),
    await pipeline.start('writer'),
    await pipeline.start('maintain', {}, ['--every', '1s']),
  ];
  const targets: string[] = [];
  await eventually('all say where their metrics are', async () => {
    const ports = await Promise.all(processes.map(metricsPort));
    targets.splice(0, Infinity, ...ports.flatMap((port) => (port === undefined ? [] : `127.0.0.1:${port}`)));
    return targets.length === processes.length;
  });
  prometheus = await startPrometheus(targets);
  if (prometheus === undefined) return;
  await sendAll(pipeline.queue, [JSON.stringify(good), JSON.stringify({ ...good, more: 1 }), '{"foo": 1}']);
  await settled(pipeline);
}, 120_000);

afterAll(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  await pipeline?.[Symbol.asyncDispose]();
});

beforeEach((context) => {
  if (prometheus === undefined) context.skip(noPrometheusHere);
});

test('every metric that rules and dashboards ask for is there, but for those of things that have not happened', async () => {
  let missing: string[] = [];
  const look = async () => {
    const names = z.array(z.string()).parse(await prometheus?.get('/api/v1/label/__name__/values'));
    missing = [...asked].filter((name) => !names.includes(name) && !idle.has(name));
    return missing.length === 0;
  };
  await eventually('they are scraped', look).catch(() => undefined);
  expect(missing).toEqual([]);
});

test('every rule is evaluated without an error, and of a pipeline that is well only the dead letter tells', async () => {
  const rules = async () =>
    ruleGroups.parse(await prometheus?.get('/api/v1/rules')).groups.flatMap((group) => group.rules);
  await eventually('the dead letter is told', async () =>
    (await rules()).some(({ name, state }) => name === 'SluiceDeadLetters' && state === 'firing'),
  );
  const found = await rules();
  expect(found.map(({ name }) => name).toSorted()).toEqual(alertRules.map(({ alert }) => alert).toSorted());
  expect(found.filter(({ health }) => health !== 'ok')).toEqual([]);
  const firing = found.filter(({ state }) => state === 'firing').map(({ name }) => name);
  expect(firing.filter((name) => name !== 'SluiceUnknownFields')).toEqual(['SluiceDeadLetters']);
});

test('every expression of the dashboards is one that Prometheus can compute', async () => {
  for (const expression of dashboards) {
    const query = expression.replaceAll('$job', '.*').replaceAll('$__rate_interval', '1m');
    const result = await prometheus?.get('/api/v1/query', { query });
    expect(result).toMatchObject({ resultType: 'vector' });
  }
});
