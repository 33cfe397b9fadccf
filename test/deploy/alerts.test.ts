import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { alertRules, root, runbookOf, testsOf } from '../helpers/alert-rules.ts';
import { promqlProblems } from '../helpers/promql.ts';

const names = alertRules.map(({ alert }) => alert);
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const pages = readdirSync(`${root}docs/runbooks`).filter((name) => name !== 'README.md');

describe('alert rules', () => {
  test('ask only for metrics, labels and values that are declared', () => {
    const problems = alertRules.flatMap(({ alert, expr }) =>
      promqlProblems(expr).map((problem) => `${alert}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });

  test('have names of their own, and a summary that is a sentence', () => {
    expect(new Set(names).size).toBe(names.length);
    for (const { alert, annotations } of alertRules) {
      expect(alert).toMatch(/^Sluice[A-Z][A-Za-z]+$/);
      expect(annotations.summary).toMatch(/\.$/);
    }
  });

  test('each have a test that fires and one that does not', () => {
    const lacking = names.filter(
      (alert) => testsOf(alert).fires.length === 0 || testsOf(alert).quiet.length === 0,
    );
    expect(lacking).toEqual([]);
  });
});

describe('runbooks', () => {
  test('there is one for every alert, to which it points, and none for anything else', () => {
    for (const { alert, annotations } of alertRules) expect(annotations.runbook_url).toBe(runbookOf(alert));
    expect(pages.map((page) => `docs/runbooks/${page}`).toSorted()).toEqual(
      names.map((alert) => runbookOf(alert)).toSorted(),
    );
  });

  test('say what it means, whether data is lost, how to look and mend, and when to escalate', () => {
    for (const { alert, labels } of alertRules) {
      const page = read(runbookOf(alert));
      expect(page.split('\n')[0]).toBe(`# ${alert}`);
      expect(page.split('\n')[2]).toMatch(new RegExp(`^${labels.severity} `));
      expect([...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual([
        'Is data lost?',
        'Look',
        'Mend',
        'Escalate',
      ]);
    }
  });

  test('are listed with their severities', () => {
    const list = read('docs/runbooks/README.md');
    const listed = [...list.matchAll(/^\| \[(\w+)\]\(([\w-]+\.md)\)\s*\| (\w+)/gm)].map(
      ([, alert, page, severity]) => ({ alert, page: `docs/runbooks/${page}`, severity }),
    );
    expect(listed).toEqual(
      ['pipeline', 'custody'].flatMap((file) => {
        const rules = read(`deploy/prometheus/rules/${file}.yml`);
        return alertRules
          .filter(({ alert }) => rules.includes(`alert: ${alert}\n`))
          .map(({ alert, labels: { severity } }) => ({ alert, page: runbookOf(alert), severity }));
      }),
    );
  });

  test('name only commands that exist, and pages that are there', () => {
    const cli = `${read('services/cli.ts')}${read('services/cli-custody.ts')}`;
    const commands = new Set(['status', 'doctor']);
    for (const [, command = ''] of cli.matchAll(/\(\s*program,\s*'([a-z]+)'/g)) commands.add(command);
    for (const page of pages) {
      const text = read(`docs/runbooks/${page}`);
      for (const [, command = ''] of text.matchAll(/`sluice ([a-z]+)/g)) {
        expect([page, command, commands.has(command)]).toEqual([page, command, true]);
      }
      for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)\)/g)) {
        const path = new URL(link, `file:///docs/runbooks/${page}`).pathname;
        expect(() => read(path)).not.toThrow();
      }
    }
  });
});
