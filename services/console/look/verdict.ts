import { errorCodes } from '../../../shared/errors.ts';
import { duration, number } from '../page/words.js';
import type { Looks, Problem, ServiceLook, Verdict, VerdictState } from './snapshot.ts';

/** From worst to best. */
const order = ['broken', 'behind', 'attention'] as const;

/** What may wait without anybody being woken: a minute's worth, as the alert rules have it too. */
const waitSeconds = 60;
/** Fewer are not worth a word while they move. */
const fewMessages = 100;
/** A weekend. "maintain" makes seven. */
const horizonDays = 3;

/** What is the matter, worst first, and one line that says it all. Pure: of the same looks always the same. */
export function judge(looks: Looks, atMs: number): Verdict {
  const problems = [
    ...of('servers', unseen(looks)),
    ...of('services', services(looks)),
    ...of('queue', queue(looks)),
    ...of('topic', topic(looks)),
    ...of('days', days(looks, atMs)),
    ...of('ledger', ledger(looks)),
    ...of('deadLetters', deadLetters(looks)),
  ].toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const state: VerdictState = problems[0]?.state ?? 'well';
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return {
    state,
    sentence: first === undefined ? `well: ${flowing(looks)}` : `${state}: ${first.what}${more}`,
    problems,
  };
}

type Found = Omit<Problem, 'area'>;

function of(area: Problem['area'], found: readonly Found[]): Problem[] {
  return found.map(({ state, what, todo }) => ({ area, state, what, todo }));
}

/** `312 rows/s, nothing waits, half of them within 0.2 s, 99 % within 0.9 s` */
function flowing({ rows, topic, queue }: Looks): string {
  const parts: string[] = [];
  if (rows.ok) parts.push(`${number(rows.value.rowsPerSecond)} rows/s`);
  const waiting = (queue.ok ? queue.value.visible : 0) + (topic.ok ? topic.value.lag : 0);
  parts.push(waiting === 0 ? 'nothing waits' : `${number(waiting)} under way`);
  if (rows.ok && rows.value.recent !== null) {
    parts.push(
      `half within ${duration(rows.value.recent.p50)}, 99 % within ${duration(rows.value.recent.p99)}`,
    );
  }
  return parts.join(', ');
}

function unseen({ queue, topic, rows, days, ledger, deadLetters }: Looks): Found[] {
  const parts = [
    ['the queue', queue],
    ['the raw topic', topic],
    ['the rows', rows],
    ['days and keys', days],
    ['the ledger', ledger],
    ['the dead-letter topic', deadLetters],
  ] as const;
  const byCode = Map.groupBy(
    parts.flatMap(([what, part]) => (part.ok ? [] : [{ what, code: part.code }])),
    ({ code }) => code,
  );
  return [...byCode].map(([code, of]) => ({
    state: 'broken',
    what: `${of.map(({ what }) => what).join(', ')} cannot be seen (${code})`,
    todo: errorCodes[code].remedy,
  }));
}

function services({ services: all }: Looks): Found[] {
  const silent = all.filter(({ state }) => state === 'silent').map(({ url }) => url);
  const told = all.flatMap((service): Found[] => {
    const who = service.service ?? service.url;
    if (service.state === 'stuck') {
      return [
        { state: 'broken', what: `${who} at ${service.url} stands still`, todo: errorCodes.STALLED.remedy },
      ];
    }
    return waits(service).map(({ name, code, forSeconds }) => ({
      state: 'broken',
      what: `${who} waits for ${name} (${code}) since ${duration(forSeconds)}`,
      todo: remedyOf(code),
    }));
  });
  if (silent.length === 0) return told;
  const what =
    silent.length === 1
      ? `${silent[0]} does not answer`
      : `${silent.length} services do not answer: ${silent.join(', ')}`;
  return [...told, { state: 'attention', what, todo: 'Are they running? SERVICE_URLS names them.' }];
}

function waits({ dependencies }: ServiceLook) {
  return dependencies
    .filter(({ up }) => !up)
    .map(({ name, code, downMs }) => ({ name, code: code ?? 'UNKNOWN', forSeconds: (downMs ?? 0) / 1_000 }));
}

function remedyOf(code: string): string {
  const known = Object.entries(errorCodes).find(([name]) => name === code);
  return known?.[1].remedy ?? errorCodes.UNKNOWN.remedy;
}

/** Why one kind of service does not get on, when it says so itself. */
function because(all: readonly ServiceLook[], kind: string): string | undefined {
  for (const service of all.filter((one) => one.service === kind)) {
    const [wait] = waits(service);
    if (wait !== undefined) return `the ${kind} waits for ${wait.name} (${wait.code})`;
    if (service.state === 'stuck') return `the ${kind} stands still`;
  }
  return undefined;
}

function queue({ queue: part, topic: topicPart, services: all, sentPerSecond }: Looks): Found[] {
  if (!part.ok) return [];
  const { visible, inFlight } = part.value;
  const published = topicPart.ok ? topicPart.value.publishedPerSecond : null;
  const oldest = Math.max(0, ...all.map(({ queueOldestSeconds }) => queueOldestSeconds ?? 0));
  const still = published === 0 && visible > 0;
  const seconds = visible < fewMessages ? 0 : published === null ? 0 : visible / Math.max(published, 1);
  if (!still && oldest <= waitSeconds && seconds <= waitSeconds) return [];
  const what = `${number(visible)} messages wait in the queue${oldest > 0 ? `, the oldest for ${duration(oldest)}` : ''}`;
  const why =
    because(all, 'connector') ??
    (still && inFlight === 0
      ? 'no connector takes them'
      : still
        ? 'nothing reaches the topic'
        : published === null || sentPerSecond === null
          ? undefined
          : `${number(sentPerSecond)} a second come and ${number(published)} are published`);
  return [
    {
      state: 'behind',
      what: why === undefined ? what : `${what}, because ${why}`,
      todo: still
        ? 'Start "sluice connector", or look into its log for what it waits for.'
        : 'It catches up when less comes; start another connector if it does not.',
    },
  ];
}

function topic({ topic: part, services: all }: Looks): Found[] {
  if (!part.ok) return [];
  const { lag, members, partitions, readPerSecond, publishedPerSecond, groupState, group } = part.value;
  const problems: Found[] = [];
  const leaderless = partitions.filter(({ leader }) => !leader).length;
  const thin = partitions.filter(({ replicas, inSync }) => inSync < replicas).length;
  if (leaderless > 0) {
    problems.push({
      state: 'broken',
      what: `${leaderless} partitions of the raw topic have no leader`,
      todo: 'A broker is down: start it.',
    });
  } else if (thin > 0) {
    problems.push({
      state: 'attention',
      what: `${thin} partitions of the raw topic have fewer replicas in sync than they should`,
      todo: 'A broker is down or slow: what is acknowledged now survives fewer failures.',
    });
  }
  const oldest = Math.max(0, ...partitions.map(({ oldestSeconds }) => oldestSeconds ?? 0));
  const nobody = members === 0 && lag > 0;
  const still = readPerSecond === 0 && lag > 0 && oldest > waitSeconds;
  if (!nobody && oldest <= waitSeconds) return problems;
  const what = `${number(lag)} records are not read yet, the oldest sent ${duration(oldest)} ago`;
  const why =
    because(all, 'writer') ??
    (nobody
      ? `no writer is in the group ${group}${groupState === 'Empty' || groupState === 'Dead' ? '' : ` (${groupState})`}`
      : still
        ? 'the writers commit nothing'
        : readPerSecond === null || publishedPerSecond === null
          ? undefined
          : `${number(publishedPerSecond)} a second come and ${number(readPerSecond)} are written`);
  problems.push({
    state: 'behind',
    what: why === undefined ? what : `${what}, because ${why}`,
    todo: nobody
      ? 'Start "sluice writer".'
      : still
        ? 'Look into a writer\'s log for what it waits for ("outage: waiting").'
        : `It catches up when less comes; there may be ${partitions.length} writers, ${members} are at work.`,
  });
  return problems;
}

function days({ days: part, services: all }: Looks, atMs: number): Found[] {
  if (!part.ok) return [];
  const { today, partitionDays, keyDays, days: list, unfinishedShreds, lastWalMs, walFailures } = part.value;
  const problems: Found[] = [];
  const now = list.find(({ day }) => day === today);
  const lacks = [
    ...(now?.partition === false ? ['partition'] : []),
    ...(now?.key === 'none' ? ['key'] : []),
  ].join(' and no ');
  const least = Math.min(partitionDays, keyDays);
  if (lacks !== '') {
    const todo = 'Run "sluice maintain": until then what was sent today waits.';
    problems.push({ state: 'broken', what: `today has no ${lacks}`, todo });
  } else if (least < horizonDays) {
    const maintained = Math.max(0, ...all.map(({ lastMaintainMs }) => lastMaintainMs ?? 0));
    const last =
      maintained === 0 ? '' : `; it last did all it had to ${duration((atMs - maintained) / 1_000)} ago`;
    problems.push({
      state: 'attention',
      what: `partitions reach ${partitionDays} and keys ${keyDays} days ahead, because "maintain" has not run${last}`,
      todo: 'Run "sluice maintain" (daily, or with --every 1h).',
    });
  }
  if (unfinishedShreds > 0) {
    const what = `${unfinishedShreds} orders to shred are not finished`;
    problems.push({ state: 'attention', what, todo: 'Run "sluice shred" again, as the shredder.' });
  }
  if (walFailures !== null && walFailures > 0 && (lastWalMs === null || atMs - lastWalMs > 3_600_000)) {
    problems.push({
      state: 'attention',
      what: 'Postgres fails to archive its log: backups end where that began',
      todo: 'Look at its archive_command and pg_stat_archiver.',
    });
  }
  return problems;
}

function ledger({ ledger: part }: Looks): Found[] {
  if (!part.ok || part.value.proven) return [];
  const { problems } = part.value;
  return [
    {
      state: 'broken',
      what: `the ledger does not prove that nothing was passed over: ${problems[0] ?? ''}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''}`,
      todo: 'Run "sluice verify": this is a loss, or a topic that was made anew.',
    },
  ];
}

function deadLetters({ deadLetters: part }: Looks): Found[] {
  if (!part.ok || part.value.lastHour === 0) return [];
  const { lastHour, codes } = part.value;
  const names = codes
    .filter(({ open }) => open > 0)
    .map(({ code }) => code)
    .slice(0, 3);
  return [
    {
      state: 'attention',
      what: `${number(lastHour)} dead letters in the last hour: ${names.join(', ')}`,
      todo: 'Look at them with "sluice dlq list"; put them back with "sluice dlq redrive" once their cause is mended.',
    },
  ];
}
