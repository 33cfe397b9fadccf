import { describe, expect, test } from 'vitest';
import { parseConfig, environmentSlice } from '../../../shared/config.ts';
import { openTelemetry, telemetrySlice, wanted } from '../../../shared/telemetry/open.ts';
import { noTelemetry } from '../../../shared/telemetry/telemetry.ts';

const parse = (env: Record<string, string>) => parseConfig(env, { ...environmentSlice, ...telemetrySlice });
const endpoint = 'http://localhost:4318';

describe('what is wanted', () => {
  test.for([
    [{}, { traces: false, push: false, scrape: false }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, { traces: true, push: true, scrape: false }],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint }, { traces: true, push: false, scrape: false }],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint }, { traces: false, push: true, scrape: false }],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, { traces: true, push: false, scrape: false }],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_METRICS_EXPORTER: 'none' },
      { traces: true, push: false, scrape: false },
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: 'none', METRICS_PORT: '0' },
      { traces: false, push: true, scrape: true },
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, METRICS_PORT: '0', OTEL_SDK_DISABLED: 'true' },
      { traces: false, push: false, scrape: false },
    ],
  ] as const)('of %o is %o', ([env, expected]) => {
    expect(wanted(parse(env))).toEqual(expected);
  });

  test('nothing asked for is nothing loaded', async () => {
    expect(await openTelemetry('writer', parse({}))).toBe(noTelemetry);
  });
});

describe('settings', () => {
  test('are refused by name', () => {
    expect(() => parse({ TRACE_SAMPLE_RATE: '1.5', METRICS_PORT: 'all', METRICS_HOST: 'anywhere' })).toThrow(
      /METRICS_PORT must be a whole number.*METRICS_HOST must be an IP address.*TRACE_SAMPLE_RATE must be a share from 0 to 1/,
    );
  });

  test('an agent beside the process is fine in prod', () => {
    const env = { SLUICE_ENV: 'prod', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, METRICS_HOST: '127.0.0.1' };
    expect(() => parse(env)).not.toThrow();
  });
});
