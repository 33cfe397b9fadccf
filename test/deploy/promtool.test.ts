import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { alertRules, root, testsOf, type AlertRule, type AlertTest } from '../helpers/alert-rules.ts';

const found = spawnSync('promtool', ['--version']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'sluice-rules-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: root, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

/** A rule alone in a file, and tests of it in another; the path of the second. JSON is YAML. */
function write(variant: string, rule: AlertRule, tests: readonly AlertTest[]): string {
  const file = (kind: string) => join(directory, `${rule.alert}-${variant}-${kind}.json`);
  writeFileSync(file('rules'), JSON.stringify({ groups: [{ name: 'one', rules: [rule] }] }));
  const content = { rule_files: [file('rules')], evaluation_interval: '1m', tests };
  writeFileSync(file('tests'), JSON.stringify(content));
  return file('tests');
}

/** Which of these files' tests pass, in one run. */
function passing(files: readonly string[]): { passed: string[]; output: string } {
  const { output } = promtool('test', 'rules', ...files);
  const results = output.split(/^Unit Testing: +/m).slice(1);
  expect(results).toHaveLength(files.length);
  const passed = results.filter((text) => /^\s+SUCCESS/m.test(text)).map((text) => text.split('\n')[0] ?? '');
  return { passed, output };
}

// A hundred files in one run of the program.
describe('promtool', { timeout: 60_000 }, () => {
  beforeEach((context) => {
    if (!found) context.skip('skipped: there is no promtool on the PATH (Debian: apt install prometheus)');
  });

  test('takes the rules and the configuration', () => {
    const rules = promtool(
      'check',
      'rules',
      ...['pipeline', 'custody'].map((one) => `deploy/prometheus/rules/${one}.yml`),
    );
    expect(rules).toMatchObject({ status: 0 });
    const config = promtool('check', 'config', 'deploy/prometheus/prometheus.yml');
    expect(config.output).toContain('2 rule files found');
    expect(config.status).toBe(0);
  });

  test('every alert fires when it should, and is quiet when it should', () => {
    const files = alertRules.map((rule) => {
      const { fires, quiet } = testsOf(rule.alert);
      return write('as-it-is', rule, [...fires, ...quiet]);
    });
    const { passed, output } = passing(files);
    expect(output).not.toContain('FAILED');
    expect(passed).toEqual(files);
  });

  test('a rule that never fires fails its test, and so does one that always does', () => {
    const files = alertRules.flatMap((original) => {
      const { fires, quiet } = testsOf(original.alert);
      const never = { ...original, for: '0s', expr: 'vector(1) > 1' };
      const always = { ...never, expr: 'vector(1)' };
      return [
        ...fires.map((one, i) => write(`never-${i}`, never, [one])),
        ...quiet.map((one, i) => write(`always-${i}`, always, [one])),
      ];
    });
    expect(files.length).toBeGreaterThanOrEqual(2 * alertRules.length);
    expect(passing(files).passed).toEqual([]);
  });
});
