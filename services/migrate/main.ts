import { openDatabase } from '../../db/client.ts';
import { migrateDatabase, readMigrations } from '../../db/migrate.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { describeTopics, makeTopics, topicLayout } from '../../shared/kafka/topic-layout.ts';
import { createLogger } from '../../shared/log.ts';
import { createVault } from '../../shared/vault/open-vault.ts';
import { migrateConfig, type MigrateConfig } from './config.ts';

/**
 * `sluice migrate`: database, file vault, topics, in that order; what was done stays done when a later step fails. Any number of
 * times. Resolves with the exit code.
 *
 * @throws PipelineError of the step that failed.
 */
export async function migrate(options: { json?: boolean }): Promise<number> {
  const config = migrateConfig(process.env);
  const say = (line: string) => {
    if (options.json !== true) process.stdout.write(`${line}\n`);
  };
  const layout = topicLayout(config);
  const migrations = await applyMigrations(config);
  for (const name of migrations) say(`applied migration ${name}`);
  const vault = await makeVault(config);
  if (vault) say('made the vault and its recovery key');
  const log = createLogger({ service: 'migrate', level: config.LOG_LEVEL });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-migrate', log });
  const topics = await makeTopics(client, layout);
  const changed = describeTopics(topics);
  for (const line of changed) say(line);
  if (migrations.length === 0 && !vault && changed.length === 0) say('nothing to do');
  if (options.json === true) process.stdout.write(`${JSON.stringify({ migrations, vault, topics })}\n`);
  return 0;
}

async function applyMigrations(config: MigrateConfig): Promise<string[]> {
  await using database = openDatabase(config.ADMIN_DATABASE_URL, {
    applicationName: 'sluice-migrate',
    max: 1,
    statementTimeoutMs: 600_000,
  });
  return await migrateDatabase(database, await readMigrations());
}

async function makeVault(config: MigrateConfig): Promise<boolean> {
  if (config.VAULT_URL === undefined || config.VAULT_RECOVERY_KEY_FILE === undefined) return false;
  return createVault({ ...config, VAULT_URL: config.VAULT_URL }, config.VAULT_RECOVERY_KEY_FILE);
}
