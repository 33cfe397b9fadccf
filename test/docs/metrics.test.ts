import { expect, test } from 'vitest';
import { instruments, type Instrument, type LabelValues } from '../../shared/telemetry/instruments.ts';
import { prometheusName } from '../../shared/telemetry/prometheus-name.ts';

const entries: [string, Instrument][] = Object.entries(instruments);

function valuesOf(values: LabelValues): string {
  if ('bounded' in values) return values.bounded;
  return values.map((value) => `\`${value}\``).join(', ');
}

function section(name: string, { kind, unit, description, from, labels = {}, buckets }: Instrument): string {
  return [
    `### \`${prometheusName(name, kind)}\``,
    '',
    `${kind} · \`${name}\` · unit \`${unit}\` · ${from.join(', ')}`,
    '',
    description,
    ...Object.entries(labels).map(([label, values]) => `\n- \`${label}\`: ${valuesOf(values)}`),
    ...(buckets === undefined ? [] : ['', `Buckets: ${buckets.join(', ')}.`]),
    '',
  ].join('\n');
}

function page(): string {
  const head = `# Metrics

By the name that Prometheus sees; OpenTelemetry's own follows its kind. How to have them scraped or pushed: [observability.md](observability.md). Every label is bounded.
A \`total\` is a counter that is kept elsewhere and read at a scrape. Histograms have \`_bucket\`, \`_sum\` and \`_count\`; durations are in seconds.

Written from \`shared/telemetry/instruments.ts\` by \`npx vitest run --project unit test/docs --update\`.
`;
  return `${head}\n${entries.map(([name, instrument]) => section(name, instrument)).join('\n')}`;
}

test('docs/metrics.md says what is declared', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/metrics.md');
});

test('a name ends with its unit, so that every exporter comes to the same name', () => {
  const suffixes: Record<string, string> = { s: '.seconds', By: '.bytes', d: '.days' };
  const odd = entries.filter(([name, { unit }]) => {
    const suffix = suffixes[unit];
    return suffix === undefined ? !/^\{[a-z]+\}$/.test(unit) : !name.endsWith(suffix);
  });
  expect(odd).toEqual([]);
});

test('histograms have buckets that grow, and nothing else has', () => {
  const odd = entries.filter(
    ([, { kind, buckets }]) =>
      (buckets !== undefined) !== (kind === 'histogram') ||
      String(buckets) !== String(buckets?.toSorted((a, b) => a - b)),
  );
  expect(odd).toEqual([]);
});
