import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { DayOpener } from '../../shared/crypto/open-event.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { dayOf, msPerDay, type Day } from '../../shared/time.ts';
import { openDayPrivateKeys } from '../../shared/vault/open-vault.ts';
import { startLoad } from '../helpers/load.ts';
import { createPipeline, eventually, type Pipeline, type Servers } from '../helpers/pipeline.ts';
import { preloadTopic } from '../helpers/preload.ts';
import { settled } from '../helpers/settle.ts';
import { deleteDay, ofDay, planned, ran } from '../services/replayer/fixtures.ts';

export interface Shown {
  readonly records: number;
  readonly deleted: number;
  readonly inserted: number;
  /** The day's rows, tokens and opened fields are what they were. */
  readonly equal: boolean;
  readonly livePerSecond: number;
  /** Milliseconds from SentTimestamp to the row's transaction. */
  readonly p99Before: number;
  readonly p99During: number;
  readonly p50Before: number;
  readonly p50During: number;
  readonly replaySeconds: number;
  readonly replayPerSecond: number;
}

/** How long live traffic flows before anything happens to it. */
const quietMs = 60_000;

/** Half of the records are of yesterday. That day is deleted and replayed by its time, with the limits of a user who gave none. */
export async function bringBackADay(
  servers: Servers,
  { records, perSecond }: { records: number; perSecond: number },
): Promise<Shown> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  const now = Date.now();
  const day = dayOf(now - msPerDay);
  await preloadTopic(pipeline, records, { sentAtMs: (i) => now - (1 + (i % 2)) * msPerDay });
  await pipeline.start('writer');
  await eventually('all is written', async () => (await countRows(pipeline)) >= records, 400_000);
  const before = await digestOf(pipeline, day);
  await pipeline.start('connector');
  const load = startLoad(pipeline.queue, { perSecond, seed: 7 });
  await sleep(10_000);
  const quietFrom = Date.now();
  await sleep(quietMs);
  const deleted = await deleteDay(pipeline, day);
  await pipeline.admin.execute(sql`vacuum user_logins`);
  const { plan, file } = await planned(pipeline, { ...ofDay(day), maxLiveLag: 1_000, maxLatency: 20 });
  const quietTo = quietFrom + quietMs;
  const replayFrom = Date.now();
  const replay = await pipeline.start('replay', {}, ['run', '--plan', file, '--json']);
  await eventually('the replay is done', () => replay.ended !== undefined, 500_000);
  if (replay.ended !== 0) throw new Error(`the replay ended with ${replay.ended}`);
  const replayTo = Date.now();
  // Done already: its report.
  const report = await ran(pipeline, plan);
  await load.stop();
  await settled(pipeline);
  const [quiet, busy] = [
    await latencies(pipeline, quietFrom, quietTo),
    await latencies(pipeline, replayFrom, replayTo),
  ];
  return {
    records,
    deleted,
    inserted: report.inserted,
    equal: (await digestOf(pipeline, day)) === before && deleted === report.inserted,
    livePerSecond: Math.round((busy.rows * 1_000) / (replayTo - replayFrom)),
    p99Before: quiet.p99,
    p99During: busy.p99,
    p50Before: quiet.p50,
    p50During: busy.p50,
    replaySeconds: Math.round(report.seconds),
    replayPerSecond: Math.round(report.perSecond),
  };
}

async function countRows(pipeline: Pipeline): Promise<number> {
  const { rows } = await pipeline.admin.execute<{ n: number }>(
    sql`select coalesce(sum(inserted), 0)::integer as n from ledger`,
  );
  return rows[0]?.n ?? 0;
}

async function latencies(
  pipeline: Pipeline,
  fromMs: number,
  toMs: number,
): Promise<{ rows: number; p50: number; p99: number }> {
  const { rows } = await pipeline.admin.execute<{ rows: number; p50: number; p99: number }>(sql`
    select count(*)::integer as rows, percentile_cont(0.5) within group (order by ms) as p50,
      percentile_cont(0.99) within group (order by ms) as p99
    from (
      select (extract(epoch from ingested_at - sent_at) * 1000)::float8 as ms from user_logins
      where create_date >= ${dayOf(fromMs)} and sent_at >= to_timestamp(${fromMs / 1_000}::float8)
        and sent_at < to_timestamp(${toMs / 1_000}::float8)
    ) sent`);
  return rows[0] ?? { rows: 0, p50: 0, p99: 0 };
}

/** A hash of a day's rows: identity, time, clear columns, tokens and personal fields, opened. In pages, for they may be a million. */
async function digestOf(pipeline: Pipeline, day: Day): Promise<string> {
  const keys = await openDayPrivateKeys(
    { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' },
    pipeline.env['VAULT_RECOVERY_KEY_FILE'] ?? '',
  );
  const hash = createHash('sha256');
  const { rows: found } = await pipeline.admin.execute<{ public_key: Buffer }>(
    sql`select public_key from day_keys where day = ${day}`,
  );
  using opener = await DayOpener.of(keys, {
    table: 'user_logins',
    day,
    publicKey: found[0]?.public_key ?? Buffer.alloc(0),
  });
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await pipeline.admin.execute<{
      event_id: string;
      dek_id: string;
      sealed_dek: Buffer;
      ip_sealed: Buffer;
      device_id_sealed: Buffer;
      rest: string;
    }>(sql`select event_id, dek_id::text, sealed_dek, ip_sealed, device_id_sealed,
        concat_ws('|', sent_at, user_id, device_type, masked_ip, masked_device_id, coalesce(locale, '-'), app_version,
          app_version_text) as rest
      from user_logins join data_keys using (dek_id)
      where create_date = ${day} and event_id > ${after} order by event_id limit 20000`);
    for (const row of rows) {
      const key = { id: BigInt(row.dek_id), sealed: row.sealed_dek };
      const field = (column: string, sealed: Buffer) => {
        const plain = opener.open({ column, eventId: row.event_id }, sealed, key);
        if (plain === undefined) throw new Error(`${column} of ${row.event_id} does not open`);
        return plain;
      };
      hash.update(
        `${row.event_id}|${row.rest}|${field('ip_sealed', row.ip_sealed)}|${field('device_id_sealed', row.device_id_sealed)}\n`,
      );
    }
    const last = rows.at(-1);
    if (last === undefined) return hash.digest('hex');
    after = last.event_id;
  }
}
