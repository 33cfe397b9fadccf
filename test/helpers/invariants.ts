import assert from 'node:assert/strict';
import { sql } from 'drizzle-orm';

import type { Session } from '../../db/client.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import { deadLetterHeaders } from '../../shared/streams/dead-letter.ts';
import type { Pipeline } from './pipeline.ts';
import { readAll } from './topics.ts';

/** What has become of the messages of a pipeline, by MessageId. */
export interface Outcome {
  /** How many rows each event has: one, or something is badly wrong. */
  readonly rows: ReadonlyMap<string, number>;
  /** The codes of each event's dead letters; those of one source record are one. */
  readonly dead: ReadonlyMap<string, readonly string[]>;
}

export async function outcomeOf(pipeline: Pipeline): Promise<Outcome> {
  const { rows } = await pipeline.admin.execute<{ event_id: string; n: number }>(
    sql`select event_id, count(*)::integer as n from user_logins group by event_id`,
  );
  const sources = new Map<string, Map<string, string>>();
  for (const record of await readAll(pipeline.kafkaBrokers, pipeline.deadLetterTopic)) {
    const id = identityOf(record)?.eventId ?? record.key.toString('latin1');
    const header = (name: string) => record.headers[name]?.toString('latin1') ?? '';
    const bySource = sources.get(id) ?? new Map<string, string>();
    bySource.set(header(deadLetterHeaders.source), header(deadLetterHeaders.code));
    sources.set(id, bySource);
  }
  return {
    rows: new Map(rows.map((row) => [row.event_id, row.n])),
    dead: new Map([...sources].map(([id, bySource]) => [id, [...bySource.values()]])),
  };
}

/** Every message sent is a row or a dead letter. */
export function noGaps(sent: Iterable<string>, outcome: Outcome): void {
  const missing = [...sent].filter((id) => !outcome.rows.has(id) && !outcome.dead.has(id));
  assert.deepEqual(missing, [], 'messages that are neither row nor dead letter');
}

/** No event has two rows, or a row and a dead letter, and nothing is there that was not sent. */
export function noDuplicates(sent: Iterable<string>, outcome: Outcome): void {
  const known = new Set(sent);
  const twice = [...outcome.rows].filter(([, n]) => n !== 1).map(([id]) => id);
  const both = [...outcome.rows.keys()].filter((id) => outcome.dead.has(id));
  const foreign = [...outcome.rows.keys(), ...outcome.dead.keys()].filter((id) => !known.has(id));
  assert.deepEqual({ twice, both, foreign }, { twice: [], both: [], foreign: [] });
}

/** Every sealed column holds a sealed value of our format, every masked one a token. */
export async function sealedOnly(session: Session): Promise<void> {
  const { rows } = await session.execute<{ n: number }>(sql`
    select count(*)::integer as n from user_logins
    where substring(ip_sealed from 1 for 2) <> '\\x0101' or octet_length(ip_sealed) < 52
       or substring(device_id_sealed from 1 for 2) <> '\\x0101' or octet_length(device_id_sealed) < 51
       or masked_ip !~ '^t[0-9]+:[A-Za-z0-9_-]{22}$' or masked_device_id !~ '^t[0-9]+:[A-Za-z0-9_-]{22}$'
       or masked_ip_prior !~ '^t[0-9]+:[A-Za-z0-9_-]{22}$' or masked_device_id_prior !~ '^t[0-9]+:[A-Za-z0-9_-]{22}$'`);
  assert.equal(rows[0]?.n, 0, 'rows with a personal field that is not sealed');
}

/** `sluice verify --complete` proves the ledger whole, up to the end of the topic. */
export async function ledgerTiles(pipeline: Pipeline): Promise<void> {
  const { code, stdout, stderr } = await pipeline.run('verify', '--complete');
  assert.deepEqual({ code, said: code === 0 ? '' : stdout + stderr }, { code: 0, said: '' });
}

/** What the ledger says was inserted are the rows that are there: both are of the same transaction, so nothing can come between. */
export async function ledgerCounts(pipeline: Pipeline): Promise<void> {
  const { inserted } = await ledgerOf(pipeline);
  const { rows } = await pipeline.admin.execute<{ n: number }>(
    sql`select count(*)::integer as n from user_logins`,
  );
  assert.equal(inserted, rows[0]?.n, 'inserted according to the ledger, and rows');
}

/** All of them, on everything that was sent. */
export async function expectDelivered(pipeline: Pipeline, sent: ReadonlySet<string>): Promise<Outcome> {
  const outcome = await outcomeOf(pipeline);
  noGaps(sent, outcome);
  noDuplicates(sent, outcome);
  await sealedOnly(pipeline.admin);
  await ledgerTiles(pipeline);
  await ledgerCounts(pipeline);
  return outcome;
}

/** How many records the ledger says were read, inserted, and so on. */
export async function ledgerOf(
  pipeline: Pipeline,
): Promise<{ read: number; inserted: number; duplicate: number; dead: number }> {
  const { rows } = await pipeline.admin.execute<{
    read: number;
    inserted: number;
    duplicate: number;
    dead: number;
  }>(
    sql`select coalesce(sum(read), 0)::integer as read, coalesce(sum(inserted), 0)::integer as inserted,
        coalesce(sum(duplicate), 0)::integer as duplicate, coalesce(sum(dead), 0)::integer as dead from ledger`,
  );
  return rows[0] ?? { read: 0, inserted: 0, duplicate: 0, dead: 0 };
}
