import assert from 'node:assert/strict';
import { sql } from 'drizzle-orm';
import type { Session } from '../../db/client.ts';
import { openField } from '../../shared/crypto/field.ts';
import { openSealed, publicKeyOf, type KeyPair } from '../../shared/crypto/sealed-box.ts';
import { addDays, dayOf, type Day } from '../../shared/time.ts';
import type { DayPrivateKeys } from '../../shared/vault/ports.ts';

/** Every key that is published has its private half in the vault; by day. */
export async function everyPublishedKeyOpens(
  session: Session,
  keys: DayPrivateKeys,
): Promise<ReadonlyMap<Day, KeyPair>> {
  const { rows } = await session.execute<{ day: Day; public_key: Buffer }>(
    sql`select to_char(day, 'YYYY-MM-DD') as day, public_key from day_keys order by day_keys.day`,
  );
  const pairs = new Map<Day, KeyPair>();
  const lost: Day[] = [];
  for (const { day, public_key: publicKey } of rows) {
    const privateKey = await keys.dayPrivateKey(day, publicKey);
    if (privateKey === undefined || !publicKeyOf(privateKey).equals(publicKey)) lost.push(day);
    else pairs.set(day, { publicKey, privateKey });
  }
  assert.deepEqual(lost, [], 'published keys that nobody can open');
  return pairs;
}

/** What a row must say: when its event was sent, and from where. */
export interface ExpectedRow {
  readonly sentAtMs: number;
  readonly ip: string;
}

/**
 * Every event is a row of the day of its SentTimestamp, sealed under a data key of that day, which opens with that day's private key
 * and with neither neighbour's. Nothing else is there.
 */
export async function everyRowUnderItsDay(
  session: Session,
  keys: DayPrivateKeys,
  expected: ReadonlyMap<string, ExpectedRow>,
): Promise<void> {
  const pairs = await everyPublishedKeyOpens(session, keys);
  const { rows } = await session.execute<{
    event_id: string;
    day: Day;
    dek_day: Day;
    sealed_dek: Buffer;
    ip_sealed: Buffer;
  }>(sql`select event_id, to_char(create_date, 'YYYY-MM-DD') as day, to_char(data_keys.day, 'YYYY-MM-DD') as dek_day,
      sealed_dek, ip_sealed from user_logins left join data_keys using (dek_id)`);
  const wrong: unknown[] = [];
  for (const { event_id: eventId, day, dek_day: dekDay, sealed_dek: sealedDek, ip_sealed: sealed } of rows) {
    const event = expected.get(eventId);
    const pair = pairs.get(day);
    const dek = pair === undefined ? undefined : openSealed(sealedDek, pair);
    const cell = { table: 'user_logins', column: 'ip_sealed', day, eventId };
    const ip = dek === undefined ? undefined : openField(sealed, cell, dek);
    const neighbours = [addDays(day, -1), addDays(day, 1)].flatMap((other) => pairs.get(other) ?? []);
    const opensElsewhere = neighbours.some((other) => openSealed(sealedDek, other) !== undefined);
    const right =
      event !== undefined &&
      day === dayOf(event.sentAtMs) &&
      dekDay === day &&
      ip === event.ip &&
      !opensElsewhere;
    if (!right)
      wrong.push({ eventId, day, dekDay, expected: event, opens: ip !== undefined, opensElsewhere });
  }
  assert.deepEqual(wrong, [], 'rows that are not sealed under the day of their event');
  assert.equal(rows.length, expected.size, 'rows');
}
