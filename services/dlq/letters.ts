import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { readRange, resolveRange, type TopicRange } from '../../shared/kafka/read-range.ts';
import { readDeadLetter, type DeadLetter } from '../../shared/streams/dead-letter.ts';
import { LetterIds, RedriveIndex } from '../../shared/streams/letter-index.ts';
import { markedId } from '../../shared/streams/redrive.ts';
import { matches, type Filter } from '../../shared/streams/selection.ts';

/** A dead letter where it lies. */
export interface Letter {
  readonly partition: number;
  readonly letter: DeadLetter;
  readonly record: IncomingRecord;
  readonly redriven: boolean;
}

/** What reading has met so far. */
export interface Reading {
  /** Offsets behind us. */
  read: number;
  /** Written twice by a crash or a redrive that was cut short: counted once above all. */
  repeated: number;
  /** Records of somebody else. */
  foreign: number;
}

/** The part of the topic that a filter needs, ending where the topic ends now. */
export function rangeFor(client: KafkaClient, topic: string, filter: Filter): Promise<TopicRange> {
  // No record is older than its event: one that was redriven late has a younger timestamp.
  return resolveRange(client, topic, { fromMs: filter.fromMs });
}

/** Reads the whole range for what has been redriven: that is told behind the dead letters, or far behind. */
export async function readRedrives(
  client: KafkaClient,
  topic: string,
  range: TopicRange,
  options: { readonly signal?: AbortSignal; readonly onRead?: (offsets: number) => void } = {},
): Promise<RedriveIndex> {
  const index = new RedriveIndex();
  for await (const batch of readRange(client, topic, range, { signal: options.signal })) {
    for (const record of batch.records) index.add(record);
    options.onRead?.(batch.records.length);
  }
  return index;
}

/**
 * The dead letters of a range that match, a batch at a time, each id once; those of one partition in its order. Of the records only those of the
 * batch are held, of the ids a few bytes each.
 */
export async function* readLetters(
  client: KafkaClient,
  topic: string,
  range: TopicRange,
  options: {
    readonly filter: Filter;
    readonly redrives: RedriveIndex;
    readonly reading: Reading;
    readonly signal?: AbortSignal | undefined;
  },
): AsyncGenerator<Letter[], void, undefined> {
  const { filter, redrives, reading, signal } = options;
  const wanted = new Map([...range].filter(([p]) => filter.partitions?.includes(p) ?? true));
  const seen = new LetterIds();
  for await (const { partition, records } of readRange(client, topic, wanted, { signal })) {
    const letters: Letter[] = [];
    for (const record of records) {
      const letter = readDeadLetter(record.headers);
      if (letter === undefined) {
        if (markedId(record.headers) === undefined) reading.foreign += 1;
        continue;
      }
      if (!matches(filter, letter, record)) continue;
      if (seen.add(letter)) letters.push({ partition, letter, record, redriven: redrives.has(letter) });
      else reading.repeated += 1;
    }
    reading.read += records.length;
    yield letters;
  }
}
