import { beforeAll, afterAll, expect, inject, test } from 'vitest';
import { instruments, type Instrument } from '../../shared/telemetry/instruments.ts';
import { prometheusName } from '../../shared/telemetry/prometheus-name.ts';
import { metricsPort } from '../helpers/metrics-port.ts';
import { createPipeline, eventually, type Pipeline } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { settled } from '../helpers/settle.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const declared: [string, Instrument][] = Object.entries(instruments);
const good = (i: number) =>
  JSON.stringify({
    user_id: `user-${i}`,
    app_version: '2.3.0',
    device_type: 'iOS',
    ip: `203.0.113.${i}`,
    locale: null,
    device_id: `CANARY-${i}`,
  });
const bodies = [...Array.from({ length: 20 }, (_, i) => good(i)), '{"CANARY":1}', 'CANARY'];

/** A process and what its /metrics says. */
interface Scraped {
  readonly service: 'connector' | 'writer' | 'maintain';
  readonly process: ServiceProcess;
  text: string;
}

const testsBeganAt = Date.now() / 1_000;

let pipeline: Pipeline;
let scraped: Scraped[] = [];

async function scrape(process: ServiceProcess): Promise<string> {
  const port = await metricsPort(process);
  if (port === undefined) return '';
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

/** The value of a series by its start: `sluice_writer_records_total{outcome="dead"}`. */
function value(text: string, series: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? Number.NaN);
}

beforeAll(async () => {
  pipeline = await createPipeline(servers, { partitions: 2, env: { METRICS_PORT: '0' } });
  for (const service of ['connector', 'writer', 'maintain'] as const) {
    const more = service === 'maintain' ? ['--every', '1h'] : [];
    scraped.push({ service, process: await pipeline.start(service, {}, more), text: '' });
  }
  await sendAll(pipeline.queue, bodies);
  await settled(pipeline);
  for (const one of scraped) {
    await eventually(`metrics of ${one.service}`, async () => {
      one.text = await scrape(one.process);
      return {
        connector: () =>
          value(one.text, 'sluice_connector_messages_total{outcome="deleted"}') === bodies.length,
        writer: () => one.text.includes('sluice_offset_commits_total'),
        maintain: () => value(one.text, 'sluice_ledger_gaps') === 0,
      }[one.service]();
    });
  }
}, 120_000);

afterAll(() => pipeline[Symbol.asyncDispose]());

const textOf = (service: Scraped['service']) => scraped.find((one) => one.service === service)?.text ?? '';

test('what happened is what they say', () => {
  const connector = textOf('connector');
  for (const outcome of ['received', 'published', 'deleted']) {
    expect(value(connector, `sluice_connector_messages_total{outcome="${outcome}"}`)).toBe(bodies.length);
  }
  expect(value(connector, 'sluice_queue_wait_seconds_count')).toBe(bodies.length);
  expect(value(connector, 'sluice_dependency_up{dependency="sqs"}')).toBe(1);
  const writer = textOf('writer');
  expect(value(writer, 'sluice_writer_records_total{outcome="inserted"}')).toBe(20);
  expect(value(writer, 'sluice_dead_letters_total{code="MESSAGE_SHAPE",stage="parse"}')).toBe(1);
  expect(value(writer, 'sluice_dead_letters_total{code="BODY_NOT_JSON",stage="parse"}')).toBe(1);
  expect(value(writer, 'sluice_end_to_end_seconds_count')).toBe(bodies.length);
  expect(value(writer, 'sluice_data_keys_made_total')).toBe(1);
  for (const partition of ['0', '1']) {
    expect(value(writer, `sluice_lag_records{partition="${partition}"}`)).toBe(0);
    expect(value(writer, `sluice_lag_seconds{partition="${partition}"}`)).toBe(0);
  }
  const maintain = textOf('maintain');
  expect(value(maintain, 'sluice_horizon_partition_days')).toBe(7);
  expect(value(maintain, 'sluice_horizon_key_days')).toBe(7);
  expect(value(maintain, 'sluice_maintain_runs_total{outcome="ok"}')).toBe(1);
  expect(value(maintain, 'sluice_shreds_unfinished')).toBe(0);
  expect(value(maintain, 'sluice_day_keys{state="live"}')).toBe(22);
  expect(value(maintain, 'sluice_day_keys{state="destroyed"}')).toBe(0);
  // One machine, one clock.
  expect(Math.abs(value(maintain, 'sluice_clock_offset_seconds'))).toBeLessThan(1);
  expect(value(connector, 'sluice_connector_held_limit_bytes')).toBe(24 * 1_048_576);
  expect(value(writer, 'sluice_writer_queued_limit_bytes')).toBe(16 * 2 ** 20);
  for (const text of [connector, writer, maintain]) {
    expect(value(text, 'sluice_telemetry_failures_total')).toBe(0);
    const startedAt = value(text, 'sluice_process_start_timestamp_seconds');
    expect(startedAt).toBeGreaterThan(testsBeganAt - 1);
    expect(startedAt).toBeLessThanOrEqual(Date.now() / 1_000);
  }
});

test('names, kinds and labels are the declared ones, and every process has its own', () => {
  for (const { service, text } of scraped) {
    const kinds = new Map(
      [...text.matchAll(/^# TYPE (sluice_\w+) (\w+)$/gm)].map(([, name, kind]) => [name ?? '', kind ?? '']),
    );
    const expected = new Map(
      declared
        .filter(([, { from }]) => from.includes(service))
        .map(([name, { kind }]) => [prometheusName(name, kind), kind === 'total' ? 'counter' : kind]),
    );
    for (const [name, kind] of kinds) expect([name, expected.get(name)]).toEqual([name, kind]);
    for (const [, name = '', labels = ''] of text.matchAll(
      /^(sluice_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} /gm,
    )) {
      const [, { labels: known = {} }] = declared.find(
        ([one, { kind }]) => prometheusName(one, kind) === name,
      ) ?? ['', { labels: undefined }];
      for (const [, label = '', given = ''] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
        if (label === 'le') continue;
        const values = known[label];
        expect([name, label, values === undefined || 'bounded' in values || values.includes(given)]).toEqual([
          name,
          label,
          values !== undefined,
        ]);
      }
    }
  }
});

test('no value, name or label holds a canary, an identity or an address', () => {
  const all = scraped.map(({ text }) => text).join('');
  expect(all).toContain('service_name="sluice-writer"');
  for (const canary of [
    'CANARY',
    '203.0.113',
    'user-1',
    /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
  ]) {
    const found = all.split('\n').filter((line) => !line.startsWith('target_info') && line.match(canary));
    expect(found).toEqual([]);
  }
});
