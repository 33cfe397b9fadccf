import { bestOf, rateOf, totalCpuOf } from '../contest.ts';
import { names } from '../peers/names.ts';
import { describeMachine } from '../results.ts';
import { median, spread } from '../spread.ts';
import { barChart, figure, stackedBar, type Bar } from './plot.ts';
import type { Result } from './results.ts';

/** A part of the page and the pictures that it shows. */
export interface Section {
  readonly markdown: string;
  readonly pictures: Readonly<Record<string, string>>;
}

type Contest = Result<'peers-writer'>['samples'];
type Sample = Contest[string][number];

const isOurs = (name: string) => name.startsWith('Sluice');
const isPeer = (name: string) => !Object.values<string>(names).includes(name);
const met = (yes: boolean) => (yes ? 'met' : 'not met');

export function contestSection(
  title: string,
  file: string,
  result: Result<'peers-writer'> | Result<'peers-connector'>,
  goals: { readonly rate: number; readonly memoryMiB: number },
): Section {
  const { samples, machine, rounds } = result;
  const count =
    'rows' in result
      ? `${result.rows} rows`
      : `${result.messages} messages, rates from a quarter of them to nine tenths`;
  const peers = Object.keys(samples).filter(isPeer);
  const fastest = bestOf(samples, peers, rateOf, 'highest');
  const cheapest = bestOf(samples, peers, totalCpuOf, 'lowest');
  const ours = samples[names.ours] ?? [];
  const rate = rateOf(ours) / rateOf(samples[fastest]);
  const cpu = totalCpuOf(ours) / totalCpuOf(samples[cheapest]);
  const memory = Math.max(...ours.map(({ peakMiB }) => peakMiB ?? 0));
  const copied = samples[names.copy];
  const alone = samples[names.queueAlone];
  const verdicts = [
    `- rate: **${figure(rate)} ×** the fastest peer (${fastest}); goal ${goals.rate}: ${met(rate >= goals.rate)}`,
    `- CPU of process and Postgres: **${figure(cpu)}** of the cheapest peer's (${cheapest}); goal 0.5: ${met(cpu <= 0.5)}`,
    `- peak memory: ${figure(memory)} MiB; goal ${goals.memoryMiB}: ${met(memory <= goals.memoryMiB)}`,
    ...(copied === undefined
      ? []
      : [
          `- of COPY's rate: **${figure(rateOf(ours) / rateOf(copied))}**; goal 0.6: ${met(rateOf(ours) >= 0.6 * rateOf(copied))}`,
        ]),
    ...(alone === undefined
      ? []
      : [
          `- of what the stand-in of SQS gives at best: **${figure(rateOf(ours) / rateOf(alone))}**; at best is ${figure(rateOf(alone) / rateOf(samples[fastest]))} × the fastest peer`,
        ]),
    `- A/A: the same twice in each round differ by ${figure(Math.abs(1 - rateOf(samples[names.oursAgain]) / rateOf(ours)) * 100)} % in rate`,
  ];
  const bars = (pick: (sample: Sample) => number, only: (name: string) => boolean = () => true): Bar[] =>
    Object.entries(samples)
      .filter(([name]) => only(name))
      .map(([label, list]) => ({ label, samples: list.map(pick), ours: isOurs(label) }));
  const pictures = {
    [`${file}-rate.svg`]: barChart({
      title,
      unit: 'a second, median and range',
      bars: bars((s) => s.perSecond),
    }),
    [`${file}-cpu.svg`]: barChart({
      title: `${title}: CPU`,
      unit: 'µs each, process and Postgres, median and range',
      bars: bars(
        (s) => s.cpuMicros + (s.postgresMicros ?? 0),
        (name) => name !== names.copy && name !== names.queueAlone,
      ),
    }),
  };
  const table = markdownTable(
    ['', 'a second', 'process µs each', 'Postgres µs each', 'peak MiB'],
    Object.entries(samples).map(([name, list]) => [
      name,
      column(list, (s) => s.perSecond, 0),
      column(list, (s) => s.cpuMicros, 1),
      column(list, (s) => s.postgresMicros, 1),
      column(list, (s) => s.peakMiB, 0),
    ]),
  );
  const markdown = `## ${title}

${describeMachine(machine)}. ${count}, eight partitions; medians of ${rounds} rounds in turns (lowest … highest).

![Rate](performance/${file}-rate.svg)

![CPU](performance/${file}-cpu.svg)

${table}

${verdicts.join('\n')}
`;
  return { markdown, pictures };
}

export function latencySection({ machine, seconds, rounds, samples }: Result<'latency'>): Section {
  const pictures: Record<string, string> = {};
  const parts = Object.entries(samples).map(([perSecond, byMover]) => {
    const file = `latency-${perSecond}.svg`;
    const of = (list: readonly Record<string, number>[], name: string) =>
      list.map((sample) => sample[name] ?? Number.NaN);
    pictures[file] = barChart({
      title: `SQS send → committed row at ${perSecond}/s`,
      unit: 'ms, p99; median and range',
      bars: Object.entries(byMover).map(([label, list]) => ({
        label,
        samples: of(list, 'p99'),
        ours: isOurs(label),
      })),
      ...(Number(perSecond) >= 500 ? { goal: { at: 25, label: 'goal: 25 ms' } } : {}),
    });
    const columns = ['p50', 'p90', 'p99', 'max', 'connectorCpu', 'writerCpu', 'postgresCpu'];
    const rows = Object.entries(byMover).map(([name, list]) =>
      [name].concat(columns.map((column) => spread(of(list, column), 1))),
    );
    const table = markdownTable(
      ['', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms', 'connector CPU %', 'writer CPU %', 'Postgres CPU %'],
      rows,
    );
    const verdicts = latencyVerdicts(byMover, Number(perSecond));
    return `### ${perSecond} a second\n\n![Latency](performance/${file})\n\n${table}\n\n${verdicts.join('\n')}\n`;
  });
  const flush = median(
    Object.values(samples).flatMap((byMover) =>
      Object.values(byMover).flatMap((list) => list.map((sample) => sample['flushMs'] ?? Number.NaN)),
    ),
  );
  const markdown = `## Latency

${describeMachine(machine)}. ${seconds} s each, medians of ${rounds}. Until the time that Postgres gave the commit; the row is visible ${figure(flush)} ms later,
when that is flushed. Sluice runs with every setting at its default; the peers with the batches named. Of 100 messages, p99
is the slowest one.

${parts.join('\n')}`;
  return { markdown, pictures };
}

/** At a rate that is not idle, milliseconds; and no more than the best peer's, always. */
const latencyGoals = { p50: 10, p99: 25 };

function latencyVerdicts(
  byMover: Result<'latency'>['samples'][string],
  perSecond: number,
): readonly string[] {
  const medians = (quantile: string) =>
    Object.entries(byMover)
      .map(([name, list]) => ({ name, ms: median(list.map((sample) => sample[quantile] ?? Number.NaN)) }))
      .toSorted((a, b) => a.ms - b.ms);
  return Object.entries(latencyGoals).flatMap(([quantile, goal]) => {
    const ours = medians(quantile).find(({ name }) => isOurs(name));
    const best = medians(quantile).find(({ name }) => !isOurs(name));
    if (ours === undefined || best === undefined) return [];
    const busy = perSecond >= 500;
    const isMet = busy ? ours.ms <= goal && ours.ms < best.ms : ours.ms <= best.ms;
    return [
      `- ${quantile}: **${ours.ms.toFixed(1)} ms**, the best peer ${best.ms.toFixed(1)} (${best.name}); goal ${busy ? `${goal} and below it` : 'no worse'}: ${met(isMet)}`,
    ];
  });
}

export function growthSection({ parts }: Result<'growth'>): Section {
  const titles: Record<string, string> = {
    rows: 'Rows a second into a day that is full already',
    partitions: 'CPU a row by partitions',
    backlog: 'Memory by backlog',
  };
  const tables = Object.entries(parts).map(([part, { machine, rows, rounds, samples }]) => {
    const table = markdownTable(
      ['', 'a second', 'process µs each', 'Postgres µs each', 'peak MiB'],
      Object.entries(samples).map(([name, list]) => [
        name,
        column(list, (s) => s.perSecond, 0),
        column(list, (s) => s.cpuMicros, 1),
        column(list, (s) => s.postgresMicros, 1),
        column(list, (s) => s.peakMiB, 0),
      ]),
    );
    const [first = [], second = []] = Object.values(samples);
    const last = Object.values(samples).at(-1) ?? [];
    const verdict: Record<string, string> = {
      rows: `Full / empty: ${figure(rateOf(last) / rateOf(first))}; goal 0.8: ${met(rateOf(last) >= 0.8 * rateOf(first))}.`,
      partitions: `Most / fewest: ${figure(totalCpuOf(last) / totalCpuOf(first))}; goal within 0.2 of 1: ${met(Math.abs(totalCpuOf(last) / totalCpuOf(first) - 1) <= 0.2)}.`,
      backlog: `Longest / shortest: ${figure(peakOf(last) / peakOf(first))}; goal: flat. The shortest is done in a second, before the heap has come to its size; longest / second: ${figure(peakOf(last) / peakOf(second))}.`,
    };
    const runs =
      part === 'backlog'
        ? `Medians of ${rounds} runs, one of the longest`
        : `${rows} rows a run, medians of ${rounds} in turns`;
    const how = `${describeMachine(machine)}. ${runs}.`;
    return `### ${titles[part] ?? part}\n\n${how}\n\n${table}\n\n${verdict[part] ?? ''}\n`;
  });
  return {
    markdown: `## Growth

Postgres has 4 GB of shared buffers here, 1 GB above: the key's index of a day of 20,000,000 rows takes 1.2 GB.

${tables.join('\n')}`,
    pictures: {},
  };
}

function peakOf(list: readonly Sample[]): number {
  return median(list.map(({ peakMiB }) => peakMiB ?? Number.NaN));
}

export function restartSection({ machine, rounds, goals, titles, samples }: Result<'restart'>): Section {
  const table = markdownTable(
    ['', 'seconds', 'goal', ''],
    Object.entries(samples).map(([name, list]) => [
      titles[name] ?? name,
      spread(list, 2),
      String(goals[name] ?? ''),
      met(median(list) <= (goals[name] ?? 0)),
    ]),
  );
  return {
    markdown: `## Start and restart\n\n${describeMachine(machine)}. Medians of ${rounds}.\n\n${table}\n`,
    pictures: {},
  };
}

export function budgetSection({ machine, rows, messages, lines, wal }: Result<'profile'>): Section {
  const parts = [...new Set(lines.map(({ part }) => part))];
  const sum = (part: string) =>
    lines.filter((line) => line.part === part).reduce((total, { micros }) => total + micros, 0);
  const table = markdownTable(
    ['part', 'stage', 'CPU µs each'],
    parts.flatMap((part) => [
      ...lines
        .filter((line) => line.part === part)
        .map(({ stage, micros }) => [part, stage, micros.toFixed(2)]),
      [part, '**all**', `**${sum(part).toFixed(2)}**`],
    ]),
  );
  const pictures = Object.fromEntries(
    parts.map((part) => [
      `budget-${part.toLowerCase()}.svg`,
      stackedBar(
        `Where a ${part === 'connector' ? 'message' : 'row'} spends its CPU: ${part}`,
        'µs',
        lines
          .filter((line) => line.part === part && line.micros > 0)
          .map(({ stage, micros }) => ({ label: stage, value: micros })),
      ),
    ]),
  );
  const images = Object.keys(pictures).map((file) => `![Budget](performance/${file})`);
  return {
    markdown: `## Budget

${describeMachine(machine)}. ${messages} messages, ${rows} rows under the profiler, which itself costs about a tenth. From the bytes of SQS's answer to those
of Postgres's WAL: ${figure(wal.bytes)} bytes a row, ${figure(wal.fullPages)} of them full pages.

${images.join('\n\n')}

${table}
`,
    pictures,
  };
}

function column(
  list: readonly Sample[],
  pick: (sample: Sample) => number | undefined,
  digits: number,
): string {
  const numbers = list.map(pick).filter((n) => n !== undefined);
  return numbers.length === 0 ? '–' : spread(numbers, digits);
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
