import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { instruments, type Instrument } from '../../shared/telemetry/instruments.ts';
import { prometheusName } from '../../shared/telemetry/prometheus-name.ts';
import { alertRules, root } from '../helpers/alert-rules.ts';
import { metricsOf, promqlProblems } from '../helpers/promql.ts';

const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('${datasource}') });
const gridPos = z.strictObject({ x: z.number(), y: z.number(), w: z.number(), h: z.number() });
const panel = z.looseObject({ id: z.number(), title: z.string().min(1), gridPos });
/** **Datasource by variable**, and what a panel must have: who reads it at night did not make it. */
const graph = panel.extend({
  type: z.enum(['timeseries', 'stat']),
  description: z.string().regex(/\.$/),
  datasource,
  fieldConfig: z.looseObject({ defaults: z.looseObject({ unit: z.string().min(1) }) }),
  targets: z
    .array(z.strictObject({ refId: z.string(), datasource, expr: z.string(), legendFormat: z.string() }))
    .min(1),
});
const dashboard = z.looseObject({
  uid: z.string(),
  title: z.string(),
  templating: z.looseObject({ list: z.array(z.looseObject({ name: z.string(), type: z.string() })) }),
  panels: z.array(z.discriminatedUnion('type', [panel.extend({ type: z.literal('row') }), graph])),
});

const directory = `${root}deploy/grafana/dashboards`;
const dashboards = readdirSync(directory).map((name) => {
  const parsed = dashboard.parse(JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')));
  const graphs = parsed.panels.flatMap((one) => (one.type === 'row' ? [] : [one]));
  const expressions = graphs.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  return Object.assign(parsed, { name, graphs, expressions });
});

test('there is one for the pipeline and one for custody', () => {
  expect(dashboards.map(({ name, uid }) => [name, uid])).toEqual([
    ['sluice-custody.json', 'sluice-custody'],
    ['sluice-pipeline.json', 'sluice-pipeline'],
  ]);
});

describe.each(dashboards)('$title', ({ panels, graphs, expressions, templating }) => {
  test('asks only for metrics, labels and values that are declared', () => {
    expect(expressions.flatMap((expression) => promqlProblems(expression))).toEqual([]);
  });

  test('uses only variables that it has', () => {
    const known = templating.list.map(({ name }) => name);
    expect(templating.list.find(({ name }) => name === 'datasource')?.type).toBe('datasource');
    for (const [, variable] of expressions.join(' ').matchAll(/\$\{?(\w+)/g)) {
      expect([...known, '__rate_interval']).toContain(variable);
    }
  });

  test('gives every panel an id and a title of its own', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(graphs.map(({ title, type }) => `${type} ${title}`)).size).toBe(graphs.length);
    for (const { targets } of graphs) {
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });

  test('lays no panel over another, nor beyond the edge', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => ({ x: x + (i % w), y: y + Math.floor(i / w) })),
    );
    expect(new Set(cells.map(({ x, y }) => `${x}/${y}`)).size).toBe(cells.length);
    expect(cells.filter(({ x }) => x > 23)).toEqual([]);
  });

  test('takes the rate of what grows, and of nothing else', () => {
    const kinds = new Map(
      Object.entries(instruments).map(([name, { kind }]: [string, Instrument]) => [
        prometheusName(name, kind),
        kind,
      ]),
    );
    const rated = /\b(?:rate|increase)\((\w+?)(?:_bucket|_count|_sum)?\{/g;
    for (const expression of expressions) {
      for (const [, name = ''] of expression.matchAll(rated)) {
        expect([name, kinds.get(name)]).not.toEqual([name, 'gauge']);
      }
    }
  });
});

test('every metric is on a dashboard or behind an alert', () => {
  const expressions = [
    ...dashboards.flatMap(({ expressions: all }) => all),
    ...alertRules.map(({ expr }) => expr),
  ];
  const used = new Set(expressions.flatMap((expression) => metricsOf(expression)));
  const unused = Object.entries(instruments)
    .map(([name, { kind }]: [string, Instrument]) => prometheusName(name, kind))
    .filter((name) => !['', '_bucket', '_sum', '_count'].some((suffix) => used.has(`${name}${suffix}`)));
  expect(unused).toEqual([]);
});

test('docker-compose.yml mounts them where the provisioning looks, and names the servers that it has', () => {
  const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
  const compose = z
    .looseObject({
      services: z.record(z.string(), z.looseObject({ volumes: z.array(z.string()).optional() })),
    })
    .parse(parse(read('docker-compose.yml')));
  const { providers } = z
    .looseObject({ providers: z.array(z.looseObject({ options: z.looseObject({ path: z.string() }) })) })
    .parse(parse(read('deploy/grafana/provisioning/dashboards/sluice.yml')));
  expect(compose.services['grafana']?.volumes).toEqual([
    './deploy/grafana/provisioning:/etc/grafana/provisioning:ro',
    `./deploy/grafana/dashboards:${providers[0]?.options.path}:ro`,
  ]);
  expect(compose.services['prometheus']?.volumes).toContain(
    './deploy/prometheus/rules:/etc/prometheus/rules:ro',
  );
  const { datasources } = z
    .looseObject({ datasources: z.array(z.looseObject({ url: z.url() })) })
    .parse(parse(read('deploy/grafana/provisioning/datasources/sluice.yml')));
  for (const { url } of datasources) expect(Object.keys(compose.services)).toContain(new URL(url).hostname);
});
