import { sql } from 'drizzle-orm';
import { DayOpener } from '../../shared/crypto/open-event.ts';
import { Tokenizer } from '../../shared/crypto/token.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import { dayOf } from '../../shared/time.ts';
import { openDayPrivateKeys, openPeppers, openTransitKeys } from '../../shared/vault/open-vault.ts';
import type { Pipeline } from '../helpers/pipeline.ts';
import { readAll } from '../helpers/topics.ts';

/** Opens both fields of `count` rows with the private key of their day, and compares their tokens. @throws when one does not open */
export async function openRowSample(pipeline: Pipeline, count: number): Promise<void> {
  const { VAULT_URL = '', VAULT_RECOVERY_KEY_FILE = '' } = pipeline.env;
  const keys = await openDayPrivateKeys({ VAULT_URL }, VAULT_RECOVERY_KEY_FILE);
  const pepper = await (await openPeppers({ VAULT_URL })).pepper(1);
  if (pepper === undefined) throw new Error('no pepper');
  const tokenizer = new Tokenizer(pepper);
  const { rows } = await pipeline.admin.execute<{
    event_id: string;
    day: string;
    ip_sealed: Buffer;
    device_id_sealed: Buffer;
    masked_ip: string;
    masked_device_id: string;
    public_key: Buffer;
    sealed_dek: Buffer;
    dek_id: string;
  }>(sql`select event_id, create_date::text as day, ip_sealed, device_id_sealed, masked_ip, masked_device_id, public_key, sealed_dek, dek_id
      from (select * from user_logins order by ingested_at desc limit ${count}) as latest
      join data_keys using (dek_id) join day_keys on day_keys.day = create_date`);
  if (rows.length < count) throw new Error(`${rows.length} rows to look at, not ${count}`);
  for (const row of rows) {
    using opener = await DayOpener.of(keys, {
      table: 'user_logins',
      day: row.day,
      publicKey: row.public_key,
    });
    const dataKey = { id: BigInt(row.dek_id), sealed: row.sealed_dek };
    for (const field of ['ip', 'device_id'] as const) {
      const cell = { column: `${field}_sealed`, eventId: row.event_id };
      const plain = opener.open(cell, row[`${field}_sealed`], dataKey);
      if (plain === undefined) throw new Error('a field does not open');
      if (tokenizer.token(field, plain) !== row[`masked_${field}`])
        throw new Error('a token is of another value than the sealed one');
    }
  }
  tokenizer.retire();
}

/** Reads the raw topic: `count` records of as many messages, every one of which opens. @throws when not */
export async function openEveryRecord(pipeline: Pipeline, count: number): Promise<void> {
  const transit = new TransitSealer(await openTransitKeys({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' }));
  const seen = new Set<string>();
  for (const record of await readAll(pipeline.kafkaBrokers, pipeline.rawTopic)) {
    const identity = identityOf(record);
    if (identity === undefined) throw new Error('a record without an identity');
    await transit.prepare(dayOf(identity.sentAtMs));
    if (typeof transit.open(record.value, identity) === 'string') throw new Error('a record does not open');
    seen.add(identity.eventId);
  }
  transit.forgetAll();
  if (seen.size !== count) throw new Error(`${seen.size} messages on the topic, not ${count}`);
}
