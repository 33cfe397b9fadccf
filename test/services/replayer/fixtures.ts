import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openDatabase } from '../../../db/client.ts';
import { runConfig } from '../../../services/replayer/config.ts';
import { executeJob, registerJob } from '../../../services/replayer/execute.ts';
import { makePlan, type Planned } from '../../../services/replayer/make-plan.ts';
import { planText, type ReplayPlan } from '../../../services/replayer/plan.ts';
import type { ReplayReport } from '../../../services/replayer/report.ts';
import { requestOf, type ReplayPlanOptions } from '../../../services/replayer/request.ts';
import { DayOpener } from '../../../shared/crypto/open-event.ts';
import { committedOffsets, topicOffsets } from '../../../shared/kafka/offsets.ts';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { dayOf, msPerDay, type Day } from '../../../shared/time.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { openDayPrivateKeys } from '../../../shared/vault/open-vault.ts';
import {
  createPipeline,
  eventually,
  type Pipeline,
  type PipelineOptions,
  type Servers,
} from '../../helpers/pipeline.ts';
import { preloadTopic, type PreloadOptions } from '../../helpers/preload.ts';
import { testKafkaClient } from '../../helpers/topics.ts';

/** A pipeline whose topic has been read to its end by a writer, which has stopped. Days: today and the two before, in turns. */
export async function writtenPipeline(
  servers: Servers,
  records: number,
  options: PipelineOptions & PreloadOptions = {},
): Promise<Pipeline & { readonly days: readonly Day[] }> {
  await using cleanup = new AsyncDisposableStack();
  const pipeline = cleanup.use(
    await createPipeline(servers, { partitions: 4, ...options, env: { LOG_LEVEL: 'warn', ...options.env } }),
  );
  const now = Date.now();
  await preloadTopic(pipeline, records, {
    sentAtMs: (i) => now - (i % 3) * msPerDay,
    misshapenEvery: 100,
    ...options,
  });
  const writer = await pipeline.start('writer', { WRITER_MAX_DEAD_RATIO: '1' });
  await eventually('all is written', async () => {
    const { rows } = await pipeline.admin.execute<{ read: number }>(
      sql`select coalesce(sum(read), 0)::integer as read from ledger`,
    );
    return (rows[0]?.read ?? 0) >= records;
  });
  await writer.kill('SIGTERM');
  cleanup.move();
  return Object.assign(pipeline, { days: [0, 1, 2].map((back) => dayOf(now - back * msPerDay)) });
}

/** Of a replay that looks at nobody. */
const defaults = { source: 'raw', target: 'live', concurrency: 3 } as const;

/** What `sluice replay plan` says and writes. @throws PipelineError as it does; an assertion when it refuses */
export async function planned(
  pipeline: Pipeline,
  options: Partial<ReplayPlanOptions> = {},
): Promise<Planned & { readonly file: string }> {
  const request = await requestOf({ ...defaults, ...options });
  const topic = request.source === 'raw' ? pipeline.rawTopic : pipeline.deadLetterTopic;
  await using database = openDatabase(pipeline.database.urls.replayer, {
    applicationName: 'test-replay-plan',
    max: 1,
    statementTimeoutMs: 30_000,
  });
  const parts = {
    client: testKafkaClient(pipeline.kafkaBrokers),
    session: database,
    stream: userLogins,
    clock: Date.now,
    signal: new AbortController().signal,
    onRead: () => {},
  };
  const found = await makePlan(parts, { ...request, topic });
  assert.deepEqual(found.refusals, []);
  const file = join(pipeline.directory, `${found.plan.job}.json`);
  await writeFile(file, planText(found.plan));
  return { ...found, file };
}

/** A plan to its end, in this process: its report, which must be a proof. */
export async function ran(pipeline: Pipeline, plan: ReplayPlan): Promise<ReplayReport> {
  const port = {
    on: () => {},
    off: () => {},
    exit: (code: number) => {
      throw new Error(`exit ${code}`);
    },
  };
  const { ended, report } = await executeJob(
    runConfig(pipeline.env),
    port,
    { terminal: { write: () => {} } },
    (database) => registerJob(database, userLogins, plan, Date.now),
  );
  assert.ok(report !== undefined, `it is ${ended}`);
  assert.deepEqual(report.problems, []);
  return report;
}

/** What a command with `--json` prints. */
export function objectOf(stdout: string): Record<string, unknown> {
  const value: unknown = JSON.parse(stdout);
  if (typeof value !== 'object' || value === null) throw new Error('no object');
  return { ...value };
}

/** Every row as far as a replay must bring it back: identity, time, clear columns, tokens, and the personal fields, opened. */
export async function openedRows(pipeline: Pipeline): Promise<Map<string, string>> {
  const keys = await openDayPrivateKeys(
    { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' },
    pipeline.env['VAULT_RECOVERY_KEY_FILE'] ?? '',
  );
  const { rows } = await pipeline.admin.execute<{
    day: Day;
    event_id: string;
    public_key: Buffer;
    sealed_dek: Buffer;
    dek_id: string;
    ip_sealed: Buffer;
    device_id_sealed: Buffer;
    rest: string;
  }>(sql`select create_date::text as day, event_id, public_key, sealed_dek, dek_id::text, ip_sealed, device_id_sealed,
      concat_ws('|', sent_at, user_id, device_type, masked_ip, masked_device_id, coalesce(locale, '-'), app_version,
        app_version_text) as rest
    from user_logins join data_keys using (dek_id) join day_keys on day_keys.day = create_date`);
  const openers = new Map<Day, DayOpener>();
  const opened = new Map<string, string>();
  for (const row of rows) {
    const { day, event_id: eventId } = row;
    const where = { table: 'user_logins', day, publicKey: row.public_key };
    const opener = openers.get(day) ?? (await DayOpener.of(keys, where));
    openers.set(day, opener);
    const field = (column: string, sealed: Buffer) =>
      opener.open({ column, eventId }, sealed, { id: BigInt(row.dek_id), sealed: row.sealed_dek });
    const fields = [field('ip_sealed', row.ip_sealed), field('device_id_sealed', row.device_id_sealed)];
    assert.ok(!fields.includes(undefined), `a field of ${eventId} does not open`);
    opened.set(`${day} ${eventId}`, [row.rest, ...fields].join('|'));
  }
  for (const opener of openers.values()) opener[Symbol.dispose]();
  return opened;
}

/** Everything that Kafka knows of the live writers: which groups there are, what they have committed, how far behind they are. */
export async function liveState(pipeline: Pipeline): Promise<unknown> {
  const client = testKafkaClient(pipeline.kafkaBrokers);
  const groups = await withAdmin(client, async (admin) => (await admin.listGroups()).groups);
  return {
    groups: groups
      .map(({ groupId }) => groupId)
      .filter((id) => id.includes('replay') || id === pipeline.group),
    committed: await committedOffsets(client, pipeline.group, pipeline.rawTopic),
    raw: await topicOffsets(client, pipeline.rawTopic),
    dead: await topicOffsets(client, pipeline.deadLetterTopic),
  };
}

/** Deletes a day's rows; how many there were. */
export async function deleteDay(pipeline: Pipeline, day: Day): Promise<number> {
  const { rowCount } = await pipeline.admin.execute(sql`delete from user_logins where create_date = ${day}`);
  return rowCount;
}

/** The whole of a day, as options. */
export function ofDay(day: Day): { from: string; to: string } {
  return { from: day, to: dayOf(Date.parse(day) + msPerDay) };
}
