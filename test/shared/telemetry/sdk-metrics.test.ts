import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { describe, expect, test } from 'vitest';
import { Histograms } from '../../../shared/telemetry/histograms.ts';
import { instruments, type Instrument } from '../../../shared/telemetry/instruments.ts';
import { prometheusName } from '../../../shared/telemetry/prometheus-name.ts';
import { SdkMetrics } from '../../../shared/telemetry/sdk-metrics.ts';

class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

function setUp() {
  const histograms = new Histograms();
  const reader = new Reader({ metricProducers: [histograms] });
  const metrics = new SdkMetrics(new MeterProvider({ readers: [reader] }).getMeter('sluice'), histograms);
  const page = async () => {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    return new PrometheusSerializer('', false, undefined, true, true).serialize(resourceMetrics);
  };
  return { metrics, page };
}

const declared: [string, Instrument][] = Object.entries(instruments);
const namesOf = (...kinds: Instrument['kind'][]) =>
  declared.filter(([, { kind }]) => kinds.includes(kind)).map(([name]) => name);

/** {@link SdkMetrics}, for names that are not known when this is compiled. */
interface AnyMetrics {
  add(name: string, value: number): void;
  record(name: string, value: number): void;
  observe(name: string, read: (report: (value: number) => void) => void): void;
}

describe('every declared instrument', () => {
  test('is called by the exporter what docs/metrics.md calls it, with its kind, unit and description', async () => {
    const { metrics, page } = setUp();
    const any: AnyMetrics = metrics;
    for (const name of namesOf('counter')) any.add(name, 1);
    for (const name of namesOf('histogram')) any.record(name, 1);
    for (const name of namesOf('gauge', 'total')) any.observe(name, (report) => report(1));
    const text = await page();
    for (const [name, { kind, unit, description }] of declared) {
      const prometheus = prometheusName(name, kind);
      expect(text).toContain(`# HELP ${prometheus} ${description}\n`);
      expect(text).toContain(`# UNIT ${prometheus} ${unit}\n`);
      expect(text).toContain(`# TYPE ${prometheus} ${kind === 'total' ? 'counter' : kind}\n`);
    }
    expect(text.match(/^# TYPE /gm)).toHaveLength(declared.length);
  });
});

describe('a histogram', () => {
  test('counts each value in the first bucket that holds it, by labels, and all of them in the last', async () => {
    const { metrics, page } = setUp();
    for (const value of [0, 0.01, 0.010_001, 0.3, 2e9]) metrics.record('sluice.queue.wait.seconds', value);
    metrics.record('sluice.stage.duration.seconds', 0.5, { stage: 'insert', outcome: 'ok' });
    metrics.record('sluice.stage.duration.seconds', 0.5, { stage: 'insert', outcome: 'refused' });
    const text = await page();
    expect(text).toContain('sluice_queue_wait_seconds_bucket{le="0.01"} 2\n');
    expect(text).toContain('sluice_queue_wait_seconds_bucket{le="0.025"} 3\n');
    expect(text).toContain('sluice_queue_wait_seconds_bucket{le="1209600"} 4\n');
    expect(text).toContain('sluice_queue_wait_seconds_bucket{le="+Inf"} 5\n');
    expect(text).toContain('sluice_queue_wait_seconds_count 5\n');
    expect(text).toMatch(/sluice_stage_duration_seconds_count\{stage="insert",outcome="ok"\} 1\n/);
    expect(text).toMatch(/sluice_stage_duration_seconds_count\{stage="insert",outcome="refused"\} 1\n/);
    metrics.record('sluice.queue.wait.seconds', 0);
    expect(await page()).toContain('sluice_queue_wait_seconds_count 6\n');
  });

  test('counts many at once as it counts them one by one', async () => {
    const values = [0, 0.01, 0.010_001, 0.02, 2e9, 0, 0.01, 3, 0.025, -1, 1_209_600, 1_209_601];
    const [one, all] = [setUp(), setUp()];
    for (const value of values) one.metrics.record('sluice.end_to_end.seconds', value);
    all.metrics.recordAll('sluice.end_to_end.seconds', Float64Array.from(values.slice(0, 5)));
    all.metrics.recordAll('sluice.end_to_end.seconds', Float64Array.from(values.slice(5)));
    all.metrics.recordAll('sluice.end_to_end.seconds', new Float64Array());
    const numbers = async ({ page }: typeof one) =>
      [...(await page()).matchAll(/^sluice_end_to_end_seconds_\w+(?:\{.*?\})? \S+/gm)].map(([line]) => line);
    expect(await numbers(all)).toEqual(await numbers(one));
    expect(await numbers(all)).toContain(`sluice_end_to_end_seconds_count ${values.length}`);
  });
});
