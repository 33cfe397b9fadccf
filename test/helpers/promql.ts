import { instruments, type Instrument, type LabelValues } from '../../shared/telemetry/instruments.ts';
import { prometheusName } from '../../shared/telemetry/prometheus-name.ts';

type Labels = Readonly<Record<string, LabelValues>>;

const anything = { bounded: 'anything' };
/** What Prometheus puts on every series that it scrapes, or is pushed. */
const everySeries: Labels = { job: anything, instance: anything };

/** Every name that can be asked for, with its labels: those of the instruments, by the names they are exported under. */
const series: ReadonlyMap<string, Labels> = new Map<string, Labels>([
  ['up', everySeries],
  ['ALERTS', { alertname: anything, alertstate: anything, severity: anything }],
  ...Object.entries(instruments).flatMap(([name, instrument]: [string, Instrument]) => {
    const exported = prometheusName(name, instrument.kind);
    const labels: Labels = { ...everySeries, ...instrument.labels };
    if (instrument.kind !== 'histogram') return [[exported, labels] as const];
    return [
      [`${exported}_bucket`, { ...labels, le: anything }] as const,
      [`${exported}_sum`, labels] as const,
      [`${exported}_count`, labels] as const,
    ];
  }),
]);

const words = new Set(['and', 'or', 'unless', 'offset', 'bool', 'by', 'without', 'on', 'ignoring']);
const matcher = /(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;

/** The metrics that an expression asks for, by the names of {@link instruments} as exported. */
export function metricsOf(expression: string): string[] {
  return selectorsOf(expression).map(({ name }) => name);
}

/** What an expression asks for that is not declared: `sluice_lag_record is no metric`. */
export function promqlProblems(expression: string): string[] {
  const problems: string[] = [];
  const grouped = new Set<string>();
  for (const { name, matchers } of selectorsOf(expression)) {
    const labels = series.get(name);
    if (labels === undefined) {
      problems.push(`${name} is no metric`);
      continue;
    }
    for (const label of Object.keys(labels)) grouped.add(label);
    for (const [, label = '', operator = '', value = ''] of matchers.matchAll(matcher)) {
      const known = labels[label];
      if (known === undefined) problems.push(`${name} has no label ${label}`);
      else if (!('bounded' in known) && !value.startsWith('$')) {
        const asked = operator.includes('~') ? value.split('|') : [value];
        problems.push(
          ...asked.filter((one) => !known.includes(one)).map((one) => `${name}: ${label} is never ${one}`),
        );
      }
    }
  }
  for (const [, list = ''] of expression.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)) {
    const labels = list.split(',').map((label) => label.trim());
    problems.push(
      ...labels
        .filter((label) => label !== '' && !grouped.has(label))
        .map((label) => `grouped by ${label}, which nothing here has`),
    );
  }
  return problems;
}

/** Names that are not functions, each with what is between its braces. */
function selectorsOf(expression: string): { name: string; matchers: string }[] {
  const plain = expression
    .replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\[[^\]]*\]|\boffset \w+/g, ' ')
    // Strings that are arguments, not those of matchers.
    .replaceAll(/(?<=[(,]\s*)"[^"]*"(?=\s*[,)])/g, ' ');
  const names = /(?<![\w"$.])([A-Za-z_]\w*)(?!\w|\s*\()\s*(\{[^}]*\})?/g;
  return [...plain.matchAll(names)]
    .map(([, name = '', matchers = '']) => ({ name, matchers }))
    .filter(({ name }) => !words.has(name));
}
