import { openDatabase, type Database } from '../../db/client.ts';
import { PipelineError } from '../../shared/errors.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { describeTopics, makeTopics, topicLayout } from '../../shared/kafka/topic-layout.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { createLogger, type Logger } from '../../shared/log.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { openKeyKeeper } from '../../shared/vault/open-vault.ts';
import { maintenanceConfig, type MaintenanceConfig } from './config.ts';
import { maintainDays } from './maintain.ts';
import { durationMs, repeat } from './repeat.ts';

/**
 * `sluice maintain`: partitions, keys and topics for the days around today; once, or as often as `every` says (`1h`) until SIGTERM. Prints a
 * line, or a JSON object, for what each run did. Resolves with the exit code.
 *
 * @throws PipelineError of the step that failed; when repeating, only of action `stop`.
 */
export async function maintain(options: { every?: string; json?: boolean }): Promise<number> {
  const everyMs = options.every === undefined ? undefined : durationMs(options.every);
  if (options.every !== undefined && everyMs === undefined) {
    throw new PipelineError('USAGE', '--every takes a duration from 1s to 1d, such as 15m');
  }
  const config = maintenanceConfig(process.env);
  const log = createLogger({ service: 'maintain', level: config.LOG_LEVEL });
  await using database = openDatabase(config.ADMIN_DATABASE_URL, {
    applicationName: 'sluice-maintain',
    max: 2,
    statementTimeoutMs: 60_000,
  });
  const job = () => maintainOnce(config, database, log, options.json === true);
  if (everyMs === undefined) await job();
  else await runUntilStopped(process, log, ({ stop }) => repeat(job, { everyMs, stop, log }));
  return 0;
}

/** The vault is opened anew each time: it may have been out of reach when the process started. */
async function maintainOnce(
  config: MaintenanceConfig,
  database: Database,
  log: Logger,
  json: boolean,
): Promise<void> {
  const layout = topicLayout(config);
  const days = await maintainDays({
    database,
    keeper: await openKeyKeeper(config.VAULT_URL),
    tables: [userLogins.name],
    clock: Date.now,
  });
  const client = createKafkaClient({ brokers: config.KAFKA_BROKERS, clientId: 'sluice-maintain', log });
  const topics = await makeTopics(client, layout);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...days, topics })}\n`);
    return;
  }
  const lines = [
    ...days.partitions.map((name) => `made partition ${name}`),
    ...days.dayKeys.map((day) => `published the key of ${day}`),
    ...(days.ledger.entries > days.ledger.remain
      ? [`merged ${days.ledger.entries} ledger entries into ${days.ledger.remain}`]
      : []),
    ...describeTopics(topics),
  ];
  if (lines.length === 0) lines.push(`nothing to do: ready from ${days.from} to ${days.to}`);
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
