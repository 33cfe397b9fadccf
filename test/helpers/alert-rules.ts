import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

const rule = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.strictObject({ summary: z.string().min(1), runbook_url: z.string() }),
});
const rulesFile = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(rule) })),
});

const testCase = z.looseObject({
  name: z.string(),
  alert_rule_test: z.array(z.looseObject({ alertname: z.string(), exp_alerts: z.array(z.unknown()) })),
});
const testFile = z.looseObject({ tests: z.array(testCase) });

export type AlertRule = z.output<typeof rule>;
/** A group of `promtool test rules`: what it is fed, and which alerts must then fire; none: the alert must be quiet. */
export type AlertTest = z.output<typeof testCase>;

export const root = fileURLToPath(new URL('../..', import.meta.url));

function readAll(directory: string): unknown[] {
  return readdirSync(`${root}${directory}`)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => parse(readFileSync(`${root}${directory}/${name}`, 'utf8')));
}

export const alertRules: readonly AlertRule[] = readAll('deploy/prometheus/rules').flatMap((file) =>
  rulesFile.parse(file).groups.flatMap(({ rules }) => rules),
);

/** What is written for an alert in test/deploy/rules. */
export function testsOf(alert: string): { fires: AlertTest[]; quiet: AlertTest[] } {
  const own = alertTests.filter(({ alert_rule_test: [first] }) => first?.alertname === alert);
  const fires = (test: AlertTest) => test.alert_rule_test.some(({ exp_alerts }) => exp_alerts.length > 0);
  return { fires: own.filter(fires), quiet: own.filter((test) => !fires(test)) };
}

const alertTests: readonly AlertTest[] = readAll('test/deploy/rules').flatMap(
  (file) => testFile.parse(file).tests,
);

/** `SluiceKeyHorizon` → `docs/runbooks/key-horizon.md`. */
export function runbookOf(alert: string): string {
  const words = alert.replace(/^Sluice/, '').replaceAll(/(?<!^)([A-Z])/g, '-$1');
  return `docs/runbooks/${words.toLowerCase()}.md`;
}
