import { randomUUID } from 'node:crypto';
import type { Database } from '../../db/client.ts';
import { findStoredEvents } from '../../db/queries/find-stored-events.ts';
import { ledgerTotals } from '../../db/queries/ledger-totals.ts';
import { sampleMaskedRows, type MaskedRow } from '../../db/queries/sample-masked-rows.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { partitionFor } from '../../shared/kafka/partitioner.ts';
import type { IncomingRecord, OutgoingRecord, RecordProducer } from '../../shared/kafka/ports.ts';
import { readRange, resolveRange } from '../../shared/kafka/read-range.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Queue } from '../../shared/sqs/ports.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { addDays, dayOf } from '../../shared/time.ts';
import { collectDeadLetters, takeCensus, type Census, type SentMessage, type Stored } from './census.ts';
import { hostileInputs } from './hostile-inputs.ts';
import { sampleLogins, seededRandom, type SampleLogin } from './sample-logins.ts';
import type { Outgoing } from './send.ts';

/** One login in this many is sent again, as by a producer that missed the answer: SQS takes it for another message. */
const retryEvery = 100;
/** This many messages are delivered to Kafka twice, as SQS may at any time. */
const redelivered = 20;
const settleTimeoutMs = 120_000;

export interface DemoParts {
  readonly database: Database;
  readonly kafka: KafkaClient;
  readonly producer: RecordProducer;
  readonly queue: Queue;
  readonly rawTopic: string;
  readonly deadLetterTopic: string;
  readonly send: (messages: Iterable<Outgoing<Tag>>, onSent: (id: string, tag: Tag) => void) => Promise<void>;
  /** Throws when a service has ended. */
  readonly assertRunning: () => void;
  readonly progress: (state: Progress) => void;
}

/** What is moving right now. */
export interface Progress {
  readonly sent: number;
  readonly queued: number;
  readonly lag: number;
  readonly rows: number;
  readonly deadLetters: number;
}

export interface Tag extends SentMessage {
  readonly login?: SampleLogin;
}

export interface DemoResult {
  readonly census: Census;
  readonly logins: number;
  readonly retries: number;
  readonly hostile: number;
  readonly redelivered: number;
  /** Ledger entries of this run. */
  readonly ledger: { read: number; inserted: number; duplicate: number; dead: number; unknownFields: number };
  readonly analystRows: readonly MaskedRow[];
  /** An event whose plain fields are known, to compare with what is recovered. */
  readonly known: KnownEvent | undefined;
  readonly oneToken: boolean;
}

export interface KnownEvent {
  readonly eventId: string;
  readonly day: string;
  readonly login: SampleLogin;
}

/** Sends, waits until all of it has arrived, and takes the census. */
export async function runDemo(
  parts: DemoParts,
  options: { messages: number; seed: number },
): Promise<DemoResult> {
  const { database, kafka, rawTopic } = parts;
  const sent = new Map<string, Tag>();
  const before = await totals(database, rawTopic, 0n);
  const startDay = dayOf(Date.now());
  const watch = watchProgress(parts, before.lastId, () => sent.size);
  try {
    await parts.send(messages(options), (id, tag) => sent.set(id, tag));
    await sendPastSqs(parts, sent);
    await settle(parts, before.lastId, () => sent.size);
    const again = await deliverAgain(parts, sent);
    await settle(parts, before.lastId, () => sent.size + again);
  } finally {
    await watch.stop();
  }
  const { counts } = await totals(database, rawTopic, before.lastId);
  const days = { from: addDays(startDay, -1), to: addDays(dayOf(Date.now()), 1) };
  const stored = await findStored(database, [...sent.keys()], days);
  const dead = new Map<string, Set<string>>();
  const deadNow = await resolveRange(kafka, parts.deadLetterTopic);
  for await (const batch of readRange(kafka, parts.deadLetterTopic, deadNow)) collectDeadLetters(batch, dead);
  const census = takeCensus(sent, stored, dead);
  const kinds = [...sent.values()];
  const known = firstKnown(sent, stored);
  const spellings = [...sent].filter(([, { name }]) => name?.startsWith('IPv6') === true).map(([id]) => id);
  const masked = await maskedRows(database, stored, spellings);
  return {
    census,
    logins: kinds.filter(({ kind }) => kind === 'login').length,
    retries: kinds.filter(({ kind }) => kind === 'retry').length,
    hostile: kinds.filter(({ kind }) => kind === 'hostile').length,
    redelivered: counts.duplicate,
    ledger: counts,
    analystRows: await maskedRows(database, stored, [...sent.keys()].slice(0, 5)),
    known,
    oneToken: masked.length === 2 && masked[0]?.masked_ip === masked[1]?.masked_ip,
  };
}

function* messages(options: { messages: number; seed: number }): Generator<Outgoing<Tag>> {
  const logins = sampleLogins(seededRandom(options.seed));
  const hostile = hostileInputs().filter(({ notThroughSqs }) => notThroughSqs !== true);
  const hostileEvery = Math.max(1, Math.floor(options.messages / (hostile.length + 1)));
  for (let i = 1; i <= options.messages; i++) {
    const login = logins.next().value;
    const body = JSON.stringify(login);
    yield { body, tag: { kind: 'login', becomes: 'row', login } };
    if (i % retryEvery === 0) yield { body, tag: { kind: 'retry', becomes: 'row', login } };
    if (i % hostileEvery === 0) yield* asMessages(hostile.splice(0, 1));
  }
  yield* asMessages(hostile);
}

function* asMessages(inputs: ReturnType<typeof hostileInputs>): Generator<Outgoing<Tag>> {
  for (const { name, body, becomes } of inputs) {
    yield { body: body.toString('utf8'), tag: { kind: 'hostile', name, becomes } };
  }
}

/** What SQS does not take comes from a producer that writes to the raw topic itself, and does not seal. */
async function sendPastSqs(parts: DemoParts, sent: Map<string, Tag>): Promise<void> {
  const records = hostileInputs()
    .filter(({ notThroughSqs }) => notThroughSqs === true)
    .map(({ name, body, becomes }) => {
      const id = randomUUID();
      sent.set(id, { kind: 'hostile', name, becomes });
      return { key: Buffer.from(id), value: body, timestampMs: Date.now() };
    });
  await produce(parts, records);
}

/** Puts records of this run on the raw topic again, byte for byte: a second delivery. */
async function deliverAgain(parts: DemoParts, sent: ReadonlyMap<string, Tag>): Promise<number> {
  const found: IncomingRecord[] = [];
  const wanted = new Set([...sent].filter(([, tag]) => tag.kind === 'login').map(([id]) => id));
  const { kafka, rawTopic } = parts;
  for await (const { records } of readRange(kafka, rawTopic, await resolveRange(kafka, rawTopic))) {
    for (const record of records) {
      if (found.length < redelivered && wanted.delete(record.key.toString('latin1'))) found.push(record);
    }
    if (found.length === redelivered) break;
  }
  await produce(parts, found);
  return found.length;
}

async function produce(parts: DemoParts, records: readonly OutgoingRecord[]): Promise<void> {
  const partitions = await parts.producer.partitionCount(parts.rawTopic);
  const batches = Map.groupBy(records, ({ key }) => partitionFor(key, partitions));
  const acks = await parts.producer.send(
    parts.rawTopic,
    [...batches].map(([partition, list]) => ({ partition, records: list })),
  );
  for (const ack of acks) if ('error' in ack) throw ack.error;
}

async function totals(database: Database, topic: string, afterId: bigint) {
  const { rows } = await database.execute(ledgerTotals(topic, afterId));
  const row = rows[0];
  const counts = {
    read: Number(row?.read ?? 0),
    inserted: Number(row?.inserted ?? 0),
    duplicate: Number(row?.duplicate ?? 0),
    dead: Number(row?.dead ?? 0),
    unknownFields: Number(row?.unknown_fields ?? 0),
  };
  return { lastId: BigInt(row?.last_id ?? 0), counts };
}

/** Waits until the ledger has read this many records and the queue is empty. Gives up silently: the census then says what is missing. */
async function settle(parts: DemoParts, afterId: bigint, expected: () => number): Promise<void> {
  const deadline = Date.now() + settleTimeoutMs;
  while (Date.now() < deadline) {
    parts.assertRunning();
    const { read } = (await totals(parts.database, parts.rawTopic, afterId)).counts;
    const { visible, inFlight } = await parts.queue.attributes();
    if (read >= expected() && visible + inFlight === 0) return;
    await sleep(200);
  }
}

function watchProgress(parts: DemoParts, afterId: bigint, sent: () => number): { stop(): Promise<void> } {
  const stop = new AbortController();
  const look = async () => {
    const { visible, inFlight, delayed } = await parts.queue.attributes();
    const { counts } = await totals(parts.database, parts.rawTopic, afterId);
    const { read, inserted, dead, duplicate } = counts;
    const queued = visible + inFlight + delayed;
    const lag = Math.max(0, sent() - queued - read + duplicate);
    parts.progress({ sent: sent(), queued, lag, rows: inserted, deadLetters: dead });
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      // A look that fails is no failure of the pipeline: the next one shows.
      await look().catch(() => undefined);
      await sleep(500, stop.signal);
    }
  })();
  return {
    async stop() {
      stop.abort();
      await running;
      await look().catch(() => undefined);
    },
  };
}

async function findStored(
  database: Database,
  ids: readonly string[],
  days: { from: string; to: string },
): Promise<Map<string, Stored>> {
  const stored = new Map<string, Stored>();
  for (let i = 0; i < ids.length; i += 10_000) {
    const query = findStoredEvents(userLogins.name, ids.slice(i, i + 10_000), days.from, days.to);
    const { rows } = await database.execute<{ event_id: string; day: string; latency_ms: number }>(query);
    for (const row of rows) stored.set(row.event_id, { day: row.day, latencyMs: row.latency_ms });
  }
  return stored;
}

async function maskedRows(
  database: Database,
  stored: ReadonlyMap<string, Stored>,
  ids: readonly string[],
): Promise<MaskedRow[]> {
  const byDay = Map.groupBy(ids, (id) => stored.get(id)?.day ?? '');
  const rows: MaskedRow[] = [];
  for (const [day, dayIds] of byDay) {
    if (day !== '') rows.push(...(await database.execute<MaskedRow>(sampleMaskedRows(dayIds, day))).rows);
  }
  return rows;
}

function firstKnown(
  sent: ReadonlyMap<string, Tag>,
  stored: ReadonlyMap<string, Stored>,
): KnownEvent | undefined {
  for (const [eventId, { login }] of sent) {
    const row = stored.get(eventId);
    if (login !== undefined && row !== undefined) return { eventId, day: row.day, login };
  }
  return undefined;
}
