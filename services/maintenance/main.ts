import { openDatabase, type Database } from '../../db/client.ts';
import { databaseTime } from '../../db/queries/database-time.ts';
import { PipelineError } from '../../shared/errors.ts';
import { Health } from '../../shared/health/health.ts';
import { superviseHealth } from '../../shared/health/serve.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { describeTopics, makeTopics, topicLayout } from '../../shared/kafka/topic-layout.ts';
import { durationMs } from '../../shared/duration.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import type { Logger } from '../../shared/log.ts';
import { knownOr } from '../../shared/outage.ts';
import { printable } from '../../shared/printable.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { msPerDay } from '../../shared/time.ts';
import { openObserved } from '../../shared/telemetry/observed.ts';
import { openKeyKeeper } from '../../shared/vault/open-vault.ts';
import { archiveOldDays } from './archive-old-days.ts';
import { maintenanceConfig, type MaintenanceConfig } from './config.ts';
import { CustodyWatch } from './custody-watch.ts';
import { exportAccessHead } from './export-head.ts';
import { destroyTransitKeys } from './destroy-transit-keys.ts';
import { maintainDays } from './maintain.ts';
import { repeat } from './repeat.ts';
import { describeSweep, sweepShreds } from './sweep-shreds.ts';

/**
 * `sluice maintain`: partitions, keys and topics for the days around today; once, or as often as `every` says (`1h`) until SIGTERM. Prints a
 * line, or a JSON object, for what each run did. Resolves with the exit code.
 *
 * @throws PipelineError of the step that failed; when repeating, only of action `stop`.
 */
export async function maintain(options: {
  every?: string;
  json?: boolean;
  pretty?: boolean;
}): Promise<number> {
  const everyMs = options.every === undefined ? undefined : durationMs(options.every, msPerDay);
  if (options.every !== undefined && everyMs === undefined) {
    throw new PipelineError('USAGE', '--every takes a duration from 1s to 1d, such as 15m');
  }
  const config = maintenanceConfig(process.env);
  await using observed = await openObserved('maintain', config, options);
  const { log, telemetry } = observed;
  await using database = openDatabase(config.ADMIN_DATABASE_URL, {
    applicationName: 'sluice-maintain',
    max: 2,
    statementTimeoutMs: 60_000,
  });
  const job = () => {
    const span = telemetry.tracing?.span('maintain', {});
    const run = () => maintainOnce(config, database, log, options.json === true);
    return (span === undefined ? run() : span.during(run)).then(
      (complete) => {
        span?.end();
        return complete;
      },
      (error: unknown) => {
        span?.end({ error: knownOr(error).code });
        throw error;
      },
    );
  };
  if (everyMs === undefined) return (await job()) ? 0 : 1;
  const health = new Health('maintain');
  await using open = new AsyncDisposableStack();
  open.use(await superviseHealth(health, { config, log, process, telemetry }));
  const custody = open.use(
    new CustodyWatch(telemetry.metrics, {
      session: database,
      table: userLogins.name,
      topic: config.RAW_TOPIC,
      archiveAfterDays: config.ARCHIVE_AFTER_DAYS,
      clock: Date.now,
    }),
  );
  const again = async () => {
    try {
      const outcome = (await job()) ? 'ok' : 'incomplete';
      await custody.ran({ outcome, headKept: config.ARCHIVE_URL !== undefined });
    } catch (error) {
      await custody.ran({ outcome: 'failed', headKept: false });
      throw error;
    }
  };
  await runUntilStopped(process, log, ({ stop }) => repeat(again, { everyMs, stop, log, health }));
  return 0;
}

/**
 * The vault is opened anew each time: it may have been out of reach when the process started. False when somebody has to do something, which
 * is in the log as an error: a day could not be archived for a reason of its own, or `sluice shred` was cut off in an order.
 */
async function maintainOnce(
  config: MaintenanceConfig,
  database: Database,
  log: Logger,
  json: boolean,
): Promise<boolean> {
  const layout = topicLayout(config);
  const days = await maintainDays({
    database,
    keeper: await openKeyKeeper(config),
    tables: [userLogins.name],
    clock: Date.now,
  });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-maintain', log });
  const topics = await makeTopics(client, layout);
  const custody = await keepCustody(config, database);
  const { archived, stuck } = await archiveOldDays(config, Date.now);
  for (const { day, stuck: error } of stuck) {
    log.error({ code: error.code, day, reason: error.message }, 'day is not archived');
  }
  for (const { id: order, scope, day, ticket } of custody.shreds.unfinished) {
    log.error(
      { order, scope, day, ticket: printable(ticket) },
      'order to shred is not finished: run "sluice shred" again',
    );
  }
  const done = stuck.length === 0 && custody.shreds.unfinished.length === 0;
  const accessHead = await exportAccessHead(database, config, Date.now);
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ...days, topics, ...custody, archived, notArchived: stuck.map(({ day }) => day), accessHead: accessHead ?? null })}\n`,
    );
    return done;
  }
  const lines = [
    ...days.partitions.map((name) => `made partition ${name}`),
    ...days.dayKeys.map((day) => `published the key of ${day}`),
    ...(days.ledger.entries > days.ledger.remain
      ? [`merged ${days.ledger.entries} ledger entries into ${days.ledger.remain}`]
      : []),
    ...describeTopics(topics),
    ...custody.transitKeysDestroyed.map((day) => `destroyed the transit key of ${day}`),
    ...describeSweep(custody.shreds),
    ...archived.map(({ day, rows, location }) => `archived ${day}: ${rows} rows at ${location}`),
    ...(accessHead === undefined ? [] : [`kept the head of the access log: ${accessHead}`]),
  ];
  if (lines.length === 0) lines.push(`nothing to do: ready from ${days.from} to ${days.to}`);
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return done;
}

/** A partition is read whole in one statement, and an archive run is waited for. */
const sweepTimeoutMs = 1_800_000;

/** What is over is destroyed, and what was shredded stays so. After the topics have been told how long they keep records. */
async function keepCustody(config: MaintenanceConfig, database: Database) {
  const { rows } = await database.execute<{ ms: number }>(databaseTime());
  const databaseMs = rows[0]?.ms ?? 0;
  // Of two clocks the one that is behind: one that is ahead would destroy keys that are needed.
  const clock = () => Math.min(Date.now(), databaseMs);
  const keeper = await openKeyKeeper(config);
  const transitKeysDestroyed = await destroyTransitKeys(database, keeper, { clock, retention: config });
  await using patient = openDatabase(config.ADMIN_DATABASE_URL, {
    applicationName: 'sluice-maintain',
    max: 1,
    statementTimeoutMs: sweepTimeoutMs,
  });
  const shreds = await patient.withSession((connection) =>
    sweepShreds(connection, { stream: userLogins, clock: Date.now, retention: config }),
  );
  return { transitKeysDestroyed, shreds };
}
