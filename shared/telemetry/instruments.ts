import { errorCodes, type ErrorCode } from '../errors.ts';

/** What a label may say: a value of a list, or something else that is known to be few, in words. */
export type LabelValues = readonly string[] | { readonly bounded: string };

/**
 * - `counter`: only grows, from 0 at the start of a process.
 * - `histogram`: counts by bucket.
 * - `gauge`: how it is at the moment of a scrape.
 * - `total`: a counter that is kept elsewhere and read at a scrape.
 */
export type InstrumentKind = 'counter' | 'histogram' | 'gauge' | 'total';

export interface Instrument {
  readonly kind: InstrumentKind;
  /** UCUM; the name ends with it where it has one, so that Prometheus and OTLP come to the same name. */
  readonly unit: string;
  readonly description: string;
  /** Which processes have it. */
  readonly from: readonly ('connector' | 'writer' | 'maintain' | 'replay')[];
  readonly labels?: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

const codesOf = (action: (typeof errorCodes)[ErrorCode]['action']): string[] =>
  Object.entries(errorCodes).flatMap(([code, entry]) => (entry.action === action ? [code] : []));

/** From a millisecond to ten seconds: what servers take to answer. */
const callSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** From ten milliseconds to a fortnight, which is how long SQS keeps a message. */
const waitSeconds = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400, 1_209_600,
];
const batchSizes = [1, 10, 50, 100, 250, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000];

const partition = { bounded: 'partitions of the raw topic' };
const dependency = { bounded: 'names in /readyz' };

/**
 * Every metric there is, by the name that OpenTelemetry knows it by. **Labels are bounded**: no identity, no value of a field, no
 * address. `docs/metrics.md` is written from it, and says what Prometheus calls them.
 */
export const instruments = {
  'sluice.connector.messages': {
    kind: 'total',
    unit: '{message}',
    description:
      'Messages by what became of them. published: acknowledged by every in-sync replica. returned: handed back, unpublished. expired: SQS took it back first. unsealable: left in the queue, no key of its day will be made.',
    from: ['connector'],
    labels: { outcome: ['received', 'published', 'deleted', 'returned', 'expired', 'unsealable'] },
  },
  'sluice.connector.received.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Bodies received, as they came.',
    from: ['connector'],
  },
  'sluice.connector.held.messages': {
    kind: 'gauge',
    unit: '{message}',
    description: 'Messages received and not yet deleted, and places reserved for polls under way.',
    from: ['connector'],
  },
  'sluice.connector.held.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'The same in bytes. At CONNECTOR_MAX_BYTES nothing is received.',
    from: ['connector'],
  },
  'sluice.connector.held.limit.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'CONNECTOR_MAX_BYTES.',
    from: ['connector'],
  },
  'sluice.queue.messages': {
    kind: 'gauge',
    unit: '{message}',
    description: 'What the queue holds, as SQS counts (approximately).',
    from: ['connector'],
    labels: { state: ['visible', 'in_flight', 'delayed'] },
  },
  'sluice.queue.oldest_age.seconds': {
    kind: 'gauge',
    unit: 's',
    description:
      'Age of the oldest message received in the last minute, since SentTimestamp; it grows while the queue has messages and none is received. 0: the queue is empty.',
    from: ['connector'],
  },
  'sluice.queue.wait.seconds': {
    kind: 'histogram',
    unit: 's',
    description: 'From SentTimestamp until a message was received.',
    from: ['connector'],
    buckets: waitSeconds,
  },
  'sluice.stage.duration.seconds': {
    kind: 'histogram',
    unit: 's',
    description:
      'How long a batch took in a stage. receive: a poll that brought messages. publish: until acknowledged. process: from the queue in memory until durable. seal: opening, parsing, tokens, sealing. insert: the transaction. ok: done, after however many outages. refused: Postgres refused the batch for its data, which is then searched for the rows at fault.',
    from: ['connector', 'writer'],
    labels: {
      stage: ['receive', 'publish', 'delete', 'process', 'seal', 'publish_dead', 'insert', 'commit'],
      outcome: ['ok', 'failed', 'refused'],
    },
    buckets: callSeconds,
  },
  'sluice.stage.batch.records': {
    kind: 'histogram',
    unit: '{record}',
    description: 'Records of a batch.',
    from: ['connector', 'writer'],
    labels: { stage: ['publish', 'process'] },
    buckets: batchSizes,
  },
  'sluice.end_to_end.seconds': {
    kind: 'histogram',
    unit: 's',
    description: 'From SentTimestamp until the row, or the dead letter, was durable.',
    from: ['writer'],
    buckets: waitSeconds,
  },
  'sluice.writer.records': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records by what became of them; durable before they are counted.',
    from: ['writer'],
    labels: { outcome: ['inserted', 'duplicate', 'dead'] },
  },
  'sluice.writer.read.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Keys and values of records that are durable.',
    from: ['writer'],
  },
  'sluice.writer.unknown_fields': {
    kind: 'counter',
    unit: '{record}',
    description: 'Rows whose message had fields that the stream does not know, which were left out.',
    from: ['writer'],
  },
  'sluice.writer.queued.records': {
    kind: 'gauge',
    unit: '{record}',
    description: 'Fetched and not yet in a batch.',
    from: ['writer'],
  },
  'sluice.writer.queued.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'The same in bytes. At WRITER_QUEUE_BYTES nothing is fetched.',
    from: ['writer'],
  },
  'sluice.writer.queued.limit.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'WRITER_QUEUE_BYTES.',
    from: ['writer'],
  },
  'sluice.writer.partitions': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Partitions that the group has given this writer.',
    from: ['writer'],
  },
  'sluice.writer.rebalances': {
    kind: 'counter',
    unit: '{rebalance}',
    description: 'How often the group has dealt out its partitions anew.',
    from: ['writer'],
  },
  'sluice.lag.records': {
    kind: 'gauge',
    unit: '{record}',
    description:
      'Records of a partition that are not yet durable: its end, asked for every 15 s, less what is.',
    from: ['writer'],
    labels: { partition },
  },
  'sluice.lag.seconds': {
    kind: 'gauge',
    unit: 's',
    description:
      'Time since the newest durable record of a partition was sent, while it has others that are not; 0 when all are.',
    from: ['writer'],
    labels: { partition },
  },
  'sluice.offset.commits': {
    kind: 'counter',
    unit: '{commit}',
    description: 'Offset commits. One that failed is made up for by the next.',
    from: ['writer'],
    labels: { outcome: ['ok', 'failed'] },
  },
  'sluice.dead_letters': {
    kind: 'counter',
    unit: '{record}',
    description: 'Dead letters acknowledged by Kafka, by code (errors.md) and stage.',
    from: ['writer'],
    labels: { code: codesOf('deadLetter'), stage: ['parse', 'insert'] },
  },
  'sluice.data_keys.made': {
    kind: 'counter',
    unit: '{key}',
    description: 'Data keys made, stored and used by this writer.',
    from: ['writer'],
  },
  'sluice.replay.records': {
    kind: 'counter',
    unit: '{record}',
    description:
      'Records that a replay has read, by what became of them; durable before they are counted. filtered: not selected by its plan.',
    from: ['replay'],
    labels: { outcome: ['inserted', 'duplicate', 'dead', 'filtered'] },
  },
  'sluice.replay.position': {
    kind: 'gauge',
    unit: '{offset}',
    description: 'The next offset of each partition that this process replays.',
    from: ['replay'],
    labels: { partition },
  },
  'sluice.replay.left.records': {
    kind: 'gauge',
    unit: '{record}',
    description: 'Offsets of the job that no process has dealt with yet.',
    from: ['replay'],
  },
  'sluice.replay.pace.records': {
    kind: 'gauge',
    unit: '{record}',
    description: 'Records a second that this process allows itself at the moment. Absent: no limit.',
    from: ['replay'],
  },
  'sluice.replay.held': {
    kind: 'gauge',
    unit: '{process}',
    description: '1 while the replay goes slower for the sake of the live pipeline.',
    from: ['replay'],
    labels: { by: ['live lag', 'latency'] },
  },
  'sluice.dependency.up': {
    kind: 'gauge',
    unit: '{dependency}',
    description: '1, or 0 while an outage of it is waited out. The same as /readyz says.',
    from: ['connector', 'writer', 'maintain', 'replay'],
    labels: { dependency },
  },
  'sluice.dependency.failures': {
    kind: 'total',
    unit: '{attempt}',
    description: 'Attempts that failed in an outage, since the process began.',
    from: ['connector', 'writer', 'maintain', 'replay'],
    labels: { dependency, code: codesOf('retry') },
  },
  'sluice.ready': {
    kind: 'gauge',
    unit: '{process}',
    description: '1 when /readyz says ready, else 0.',
    from: ['connector', 'writer', 'maintain', 'replay'],
  },
  'sluice.horizon.partition.days': {
    kind: 'gauge',
    unit: 'd',
    description: 'Days after today (UTC) that have a partition, without a hole. 7 after a run of maintain.',
    from: ['maintain'],
  },
  'sluice.horizon.key.days': {
    kind: 'gauge',
    unit: 'd',
    description: 'Days after today (UTC) that have a public key in day_keys, without a hole.',
    from: ['maintain'],
  },
  'sluice.day_keys': {
    kind: 'gauge',
    unit: '{key}',
    description:
      'Days in day_keys. live: the private key should be in the vault, which "sluice keys" checks. destroyed: shredded.',
    from: ['maintain'],
    labels: { state: ['live', 'destroyed'] },
  },
  'sluice.ledger.gaps': {
    kind: 'gauge',
    unit: '{gap}',
    description:
      'Holes between the offset ranges that the ledger covers that have been there for five minutes, and entries whose counts do not add up. Anything but 0: run "sluice verify".',
    from: ['maintain'],
  },
  'sluice.maintain.runs': {
    kind: 'counter',
    unit: '{run}',
    description:
      'Runs of maintain --every. incomplete: a day could not be archived, or a shred order is unfinished.',
    from: ['maintain'],
    labels: { outcome: ['ok', 'incomplete', 'failed'] },
  },
  'sluice.maintain.last_success.timestamp.seconds': {
    kind: 'gauge',
    unit: 's',
    description: 'When a run last did all it had to, Unix time.',
    from: ['maintain'],
  },
  'sluice.archive.last.timestamp.seconds': {
    kind: 'gauge',
    unit: 's',
    description: 'When a day was last archived, Unix time. Absent while none has been.',
    from: ['maintain'],
  },
  'sluice.archive.overdue.days': {
    kind: 'gauge',
    unit: 'd',
    description:
      'Days older than ARCHIVE_AFTER_DAYS that are not in the archive. Absent where that is not set.',
    from: ['maintain'],
  },
  'sluice.access_head.last.timestamp.seconds': {
    kind: 'gauge',
    unit: 's',
    description:
      'When the head of the access log was last seen to be in the archive, Unix time. Absent without ARCHIVE_URL.',
    from: ['maintain'],
  },
  'sluice.backup.last.timestamp.seconds': {
    kind: 'gauge',
    unit: 's',
    description:
      'When Postgres last archived a segment of its log (pg_stat_archiver), Unix time. Absent where archiving is off.',
    from: ['maintain'],
  },
  'sluice.backup.failures': {
    kind: 'total',
    unit: '{segment}',
    description: 'Segments that Postgres failed to archive, since its statistics were reset.',
    from: ['maintain'],
  },
  'sluice.recoveries': {
    kind: 'total',
    unit: '{entry}',
    description:
      'Entries in the access log, by action; the log survives restarts. Who opened what: "sluice audit list".',
    from: ['maintain'],
    labels: { action: { bounded: 'actions of the access log' } },
  },
  'sluice.shreds.unfinished': {
    kind: 'gauge',
    unit: '{order}',
    description: 'Orders to shred that were cut off.',
    from: ['maintain'],
  },
  'sluice.clock.offset.seconds': {
    kind: 'gauge',
    unit: 's',
    description: 'How far the clock of the host of maintain is ahead of that of Postgres.',
    from: ['maintain'],
  },
  'sluice.telemetry.failures': {
    kind: 'total',
    unit: '{failure}',
    description:
      'How often spans or metrics could not be delivered, or were refused, since the process began.',
    from: ['connector', 'writer', 'maintain'],
  },
  'sluice.process.start.timestamp.seconds': {
    kind: 'gauge',
    unit: 's',
    description: 'When this process began, Unix time.',
    from: ['connector', 'writer', 'maintain'],
  },
  'sluice.process.cpu.seconds': {
    kind: 'total',
    unit: 's',
    description: 'CPU time of this process.',
    from: ['connector', 'writer', 'maintain', 'replay'],
    labels: { mode: ['user', 'system'] },
  },
  'sluice.process.memory.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'Resident memory of this process.',
    from: ['connector', 'writer', 'maintain', 'replay'],
  },
  'sluice.process.event_loop.delay.seconds': {
    kind: 'gauge',
    unit: 's',
    description: 'The longest that the event loop was late since the last scrape.',
    from: ['connector', 'writer', 'maintain', 'replay'],
  },
} as const satisfies Readonly<Record<string, Instrument>>;

export type InstrumentName = keyof typeof instruments;

type Declared = typeof instruments;

export type NameOf<K extends InstrumentKind> = {
  [N in InstrumentName]: Declared[N]['kind'] extends K ? N : never;
}[InstrumentName];

/** The labels that an instrument must be given: `{ outcome: 'deleted' }`; none for one without. */
export type LabelsOf<N extends InstrumentName> = Declared[N] extends {
  readonly labels: infer L extends Readonly<Record<string, LabelValues>>;
}
  ? { readonly [K in keyof L]: L[K] extends readonly (infer V)[] ? V : string }
  : undefined;
