import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { Database } from '../../../db/client.ts';
import { insertDataKey } from '../../../db/queries/insert-data-key.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { FieldSealer } from '../../../shared/crypto/field.ts';
import { randomKey, sealToPublicKey } from '../../../shared/crypto/sealed-box.ts';
import { Tokenizer } from '../../../shared/crypto/token.ts';
import type { Day } from '../../../shared/time.ts';
import type { KeyKeeper, Peppers } from '../../../shared/vault/ports.ts';

/** A login as a test wants it stored; what it leaves out is made up. */
export interface Login {
  readonly day: Day;
  readonly userId?: string;
  readonly ip?: string;
  readonly deviceId?: string;
}

export interface StoredLogin extends Required<Login> {
  readonly eventId: string;
}

/** Partitions and keys around `today`. */
export async function maintainAround(admin: Database, keeper: KeyKeeper, today: Day): Promise<void> {
  const clock = () => Date.parse(`${today}T12:00:00Z`);
  await maintainDays({ database: admin, keeper, tables: ['user_logins'], clock });
}

/**
 * Stores logins as a writer would have: sealed under data keys of their day, `perDataKey` fields each, with tokens of epoch 1. Returns
 * them in the order of days and event ids.
 */
export async function storeLogins(
  admin: Database,
  peppers: Peppers,
  logins: readonly Login[],
  perDataKey = 1_000,
): Promise<StoredLogin[]> {
  const pepper = await peppers.pepper(1);
  if (pepper === undefined) throw new Error('no pepper');
  const tokenizer = new Tokenizer(pepper);
  const stored: StoredLogin[] = [];
  for (const [day, ofDay] of Map.groupBy(logins, (login) => login.day)) {
    for (let first = 0; first < ofDay.length; first += perDataKey) {
      const batch = ofDay.slice(first, first + perDataKey).map((login, i) => complete(login, first + i));
      await insert(admin, tokenizer, day, batch);
      stored.push(...batch);
    }
  }
  return stored.sort((a, b) => compare(`${a.day}${a.eventId}`, `${b.day}${b.eventId}`));
}

function complete(login: Login, index: number): StoredLogin {
  return {
    eventId: randomUuid(),
    userId: 'user-1',
    ip: `203.0.${Math.floor(index / 250) % 250}.${index % 250}`,
    deviceId: `device-${login.day}-${index}`,
    ...login,
  };
}

async function insert(
  admin: Database,
  tokenizer: Tokenizer,
  day: Day,
  logins: readonly StoredLogin[],
): Promise<void> {
  const { rows } = await admin.execute<{ public_key: Buffer }>(
    sql`select public_key from day_keys where day = ${day}`,
  );
  const publicKey = rows[0]?.public_key;
  if (publicKey === undefined) throw new Error(`${day} has no key`);
  const key = randomKey();
  const made = await admin.execute(
    insertDataKey({ day, sealedDek: sealToPublicKey(key, publicKey), createdBy: 'test' }),
  );
  const dekId = BigInt(made.rows[0]?.dek_id ?? 0);
  const sealer = new FieldSealer({ dekId, day, table: 'user_logins', key });
  const column = (of: (login: StoredLogin) => unknown) => sql.param(logins.map((login) => of(login)));
  await admin.execute(sql`
    insert into user_logins (create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale,
      app_version, app_version_text, ip_sealed, device_id_sealed, dek_id)
    select ${day}::date, event_id, ${`${day}T08:00:00Z`}::timestamptz, user_id, 'iOS', masked_ip, masked_device, null,
      2003000, '2.3.0', ip, device, ${dekId}
    from unnest(${column(({ eventId }) => eventId)}::uuid[], ${column(({ userId }) => userId)}::text[],
      ${column(({ ip }) => tokenizer.token('ip', ip))}::text[],
      ${column(({ deviceId }) => tokenizer.token('device_id', deviceId))}::text[],
      ${column((login) => sealer.seal('ip_sealed', login.eventId, login.ip))}::bytea[],
      ${column((login) => sealer.seal('device_id_sealed', login.eventId, login.deviceId))}::bytea[])
      as input (event_id, user_id, masked_ip, masked_device, ip, device)`);
  sealer.retire();
}

/** Any 16 bytes, the version aside: SQS does not promise one. */
function randomUuid(): string {
  return randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
