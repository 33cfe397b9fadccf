import { table } from '../../shared/text-table.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { dayOfLetter, describe, type Described } from './describe.ts';
import type { Filter } from '../../shared/streams/selection.ts';
import { rangeFor, readLetters, readRedrives, type Reading } from './letters.ts';

/** How many of one kind. */
export interface Count {
  readonly code: string;
  readonly field: string | null;
  /** Of the event, UTC. */
  readonly day: string;
  readonly open: number;
  readonly redriven: number;
}

export interface Listing {
  readonly topic: string;
  readonly open: number;
  readonly redriven: number;
  readonly repeated: number;
  readonly foreign: number;
  readonly counts: readonly Count[];
  /** The first of them, by partition and offset. */
  readonly entries: readonly Described[];
}

export interface ListOptions {
  readonly filter: Filter;
  /** Entries at most; everything is counted. */
  readonly limit: number;
  /** Redriven ones among the entries too. */
  readonly all: boolean;
  readonly onRead?: (offsets: number) => void;
}

/** Counts what is there and describes some of it. Joins no group, changes nothing. @throws PipelineError of Kafka */
export async function list(client: KafkaClient, topic: string, options: ListOptions): Promise<Listing> {
  const { filter, limit, all, onRead } = options;
  const range = await rangeFor(client, topic, filter);
  const redrives = await readRedrives(client, topic, range, onRead === undefined ? {} : { onRead });
  const reading: Reading = { read: 0, repeated: 0, foreign: 0 };
  const counts = new Map<string, { -readonly [K in keyof Count]: Count[K] }>();
  // The first ones of each partition: which partition answers first is chance.
  const entries = new Map<number, Described[]>();
  let [open, redriven] = [0, 0];
  for await (const letters of readLetters(client, topic, range, { filter, redrives, reading })) {
    for (const found of letters) {
      const { code, field = null } = found.letter;
      const day = dayOfLetter(found);
      const key = JSON.stringify([code, field, day]);
      const count = counts.get(key) ?? { code, field, day, open: 0, redriven: 0 };
      counts.set(key, count);
      if (found.redriven) {
        count.redriven += 1;
        redriven += 1;
      } else {
        count.open += 1;
        open += 1;
      }
      if (!all && found.redriven) continue;
      const ofPartition = entries.get(found.partition) ?? [];
      entries.set(found.partition, ofPartition);
      if (ofPartition.length < limit) ofPartition.push(describe(found));
    }
    onRead?.(letters.length);
  }
  const { repeated, foreign } = reading;
  const first = [...entries].toSorted(([a], [b]) => a - b).flatMap(([, ofPartition]) => ofPartition);
  return {
    topic,
    open,
    redriven,
    repeated,
    foreign,
    counts: [...counts.values()].toSorted(byWeight),
    entries: first.slice(0, limit),
  };
}

/** Most open ones first; what is equal in that is ordered by what it says, for partitions are read as they answer. */
function byWeight(a: Count, b: Count): number {
  const words = ({ code, field, day }: Count) => `${code} ${day} ${field ?? ''}`;
  return b.open - a.open || b.redriven - a.redriven || (words(a) < words(b) ? -1 : 1);
}

export function listingText(listing: Listing): string {
  const { topic, open, redriven, foreign, counts, entries } = listing;
  const n = (value: number) => value.toLocaleString('en-US');
  const head = `${topic}: ${n(open)} open, ${n(redriven)} redriven\n`;
  const strangers = foreign === 0 ? '' : `${n(foreign)} records there are no dead letters of ours\n`;
  if (counts.length === 0) return head + strangers;
  const countRows = counts.map((count) => [
    count.code,
    count.field ?? '',
    count.day,
    String(count.open),
    String(count.redriven),
  ]);
  const entryRows = entries.map((entry) => [
    entry.at,
    entry.code,
    entry.stage,
    [entry.field, entry.detail].filter((one) => one !== null).join(' '),
    String(entry.attempts),
    entry.firstFailedAt,
    entry.eventId ?? '',
    entry.source,
    ...(entry.state === 'redriven' ? ['redriven'] : []),
  ]);
  const shown =
    entries.length === 0
      ? ''
      : `\n${table([['AT', 'CODE', 'STAGE', 'WHERE', 'ATTEMPTS', 'FIRST FAILED', 'EVENT', 'SOURCE'], ...entryRows])}`;
  const countTable = table([['CODE', 'FIELD', 'DAY', 'OPEN', 'REDRIVEN'], ...countRows]);
  return `${head}${strangers}\n${countTable}${shown}`;
}
