import type { CalendarDay } from '../../db/queries/list-calendar.ts';
import { addDays, horizon, type Day } from '../../shared/time.ts';
import type { DaysLook, MinuteLook, Part, ServiceLook, Snapshot, TopicLook } from './look/snapshot.ts';
import { duration, number } from './page/words.js';

/** Partitions shown one by one; of more, those with the most lag. */
const partitionsShown = 16;

/** A snapshot for a terminal: the verdict first, then the way of a message from top to bottom. */
export function statusText(snapshot: Snapshot): string {
  const { verdict, topic, days } = snapshot;
  const rows: [string, string][] = [
    [
      'queue',
      part(snapshot.queue, (q) =>
        list(
          `${number(q.visible)} waiting`,
          `${number(q.inFlight)} in flight`,
          q.delayed > 0 && `${number(q.delayed)} delayed`,
          perSecond(snapshot.sentPerSecond, 'sent'),
        ),
      ),
    ],
    ['raw topic', part(topic, describeTopic)],
    [
      'rows',
      part(snapshot.rows, (r) =>
        list(
          `${number(r.rowsPerSecond)}/s written`,
          r.hour === null
            ? 'none in the last hour'
            : `last hour: half within ${duration(r.hour.p50)}, 95 % ${duration(r.hour.p95)}, 99 % ${duration(r.hour.p99)}`,
          sparkline(r.minutes),
        ),
      ),
    ],
    [
      'days',
      part(days, (d) => list(`partitions ${d.partitionDays} days ahead, keys ${d.keyDays}`, strip(d))),
    ],
    [
      'dead letters',
      part(snapshot.deadLetters, (d) =>
        list(
          `${number(d.open)} open${d.lastHour > 0 ? `, ${number(d.lastHour)} of the last hour` : ''}`,
          ...d.codes
            .filter(({ open }) => open > 0)
            .slice(0, 5)
            .map(({ code, open }) => `${code} ${number(open)}`),
          d.notRead > 0 && `${number(d.notRead)} older records not counted`,
        ),
      ),
    ],
    [
      'ledger',
      part(
        snapshot.ledger,
        (l) =>
          `${l.proven ? 'proven' : 'NOT proven'}: ${number(l.read)} read = ${number(l.inserted)} inserted + ${number(l.duplicate)} duplicate + ${number(l.dead)} dead`,
      ),
    ],
    ...snapshot.services.map((service): [string, string] => ['service', describeService(service)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const problems = verdict.problems.flatMap(({ state, what, todo }) => [`${state}: ${what}`, `  ${todo}`]);
  return [
    verdict.sentence,
    '',
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`),
    ...(topic.ok && topic.value.lag > 0 ? ['', ...partitionTable(topic.value)] : []),
    ...(problems.length === 0 ? [] : ['', ...problems]),
    '',
  ].join('\n');
}

function part<T>(of: Part<T>, describe: (value: T) => string): string {
  return of.ok ? describe(of.value) : `cannot be seen: ${of.reason} [${of.code}]`;
}

function list(...parts: readonly (string | false)[]): string {
  return parts.filter((one) => one !== false && one !== '').join(' · ');
}

function perSecond(rate: number | null, what: string): string {
  return rate === null ? '' : `${number(rate)}/s ${what}`;
}

function describeTopic(topic: TopicLook): string {
  const { partitions, lag, members, groupState, publishedPerSecond, readPerSecond } = topic;
  return list(
    perSecond(publishedPerSecond, 'in'),
    perSecond(readPerSecond, 'out'),
    `${number(lag)} not read yet`,
    `${partitions.length} partitions, ${members} writer${members === 1 ? '' : 's'} (${groupState})`,
  );
}

function describeService({ url, service, state, dependencies }: ServiceLook): string {
  const down = dependencies.filter(({ up }) => !up);
  return list(
    `${service ?? '?'} ${state}`,
    url,
    ...down.map(
      ({ name, code, downMs }) =>
        `waits for ${name} (${code ?? '?'}) since ${duration((downMs ?? 0) / 1_000)}`,
    ),
  );
}

function partitionTable({ partitions }: TopicLook): string[] {
  const shown =
    partitions.length <= partitionsShown
      ? partitions
      : partitions.toSorted((a, b) => b.lag - a.lag).slice(0, partitionsShown);
  const rows = [
    ['partition', 'not read', 'oldest', 'in/s', 'out/s', 'writer'],
    ...shown.map((one) => [
      String(one.partition),
      number(one.lag),
      one.oldestSeconds === null ? '–' : duration(one.oldestSeconds),
      one.publishedPerSecond === null ? '–' : number(one.publishedPerSecond),
      one.readPerSecond === null ? '–' : number(one.readPerSecond),
      one.member === null ? 'none' : `#${one.member}`,
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')}`);
}

const bars = '▁▂▃▄▅▆▇█';

/** Rows by minute, the last hour; nothing when there were none. */
function sparkline(minutes: readonly MinuteLook[]): string {
  const most = Math.max(...minutes.map(({ inserted }) => inserted));
  if (most === 0) return '';
  return minutes
    .map(({ inserted }) =>
      inserted === 0 ? ' ' : bars[Math.min(bars.length - 1, Math.floor((inserted / most) * bars.length))],
    )
    .join('');
}

/** A sign a day: `●` ready, `○` only one of partition and key, `a` archived, `s` shredded, `·` nothing, `!` nothing within the horizon; today in brackets. */
function strip({ days, today }: DaysLook): string {
  return days.map((day) => (day.day === today ? `[${sign(day, today)}]` : sign(day, today))).join('');
}

function sign({ day, partition, key, archive }: CalendarDay, today: Day): string {
  if (key === 'shredded') return 's';
  if (archive === 'archived') return 'a';
  if (partition && key === 'there') return '●';
  const wanted = day >= addDays(today, -horizon.daysBack) && day <= addDays(today, horizon.daysAhead);
  if (partition || key === 'there') return wanted ? '!' : '○';
  return wanted ? '!' : '·';
}
