import { createDecipheriv, createHmac } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { Session } from '../../../db/client.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { fieldKey, tokenKey } from './contenders.ts';

export const peerTable = 'peer_logins';

/** A table as one would make it for the peers: by day, with a primary key that comes in the order of time. Partitions of yesterday, today and tomorrow. */
export async function createPeerTable(session: Session): Promise<void> {
  await session.execute(sql`create table peer_logins (
    event_id uuid not null, sent_at timestamptz not null, user_id uuid not null, device_type text not null,
    masked_ip text not null, masked_device_id text not null, locale text, app_version integer not null,
    app_version_text text, ip_sealed bytea, device_id_sealed bytea, ingested_at timestamptz default now(),
    primary key (sent_at, event_id)) partition by range (sent_at)`);
  const today = dayOf(Date.now());
  for (const offset of [-1, 0, 1]) {
    const day = addDays(today, offset);
    await session.execute(
      sql.raw(`create table peer_logins_${day.replaceAll('-', '')} partition of peer_logins
        for values from ('${day}T00:00:00Z') to ('${addDays(day, 1)}T00:00:00Z')`),
    );
  }
}

/** Opens fields and checks tokens of a sample, so that no peer is timed doing something else. @throws when one does not open */
export async function openPeerSample(session: Session, count: number): Promise<void> {
  const { rows } = await session.execute<
    Record<'ip' | 'device', Buffer> & Record<'t_ip' | 't_device', string>
  >(
    sql`select ip_sealed as ip, device_id_sealed as device, masked_ip as t_ip, masked_device_id as t_device
      from peer_logins limit ${count}`,
  );
  if (rows.length < count) throw new Error(`${rows.length} rows to look at, not ${count}`);
  for (const { ip, device, t_ip: ipToken, t_device: deviceToken } of rows) {
    if (tokenOf(open(ip)) !== ipToken || tokenOf(open(device)) !== deviceToken)
      throw new Error('a token is of another value than the sealed one');
  }
}

function open(sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', fieldKey, sealed.subarray(0, 12), { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}

function tokenOf(plain: Buffer): string {
  return createHmac('sha256', tokenKey).update(plain).digest('hex');
}
