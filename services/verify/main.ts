import { openDatabase } from '../../db/client.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createLogger } from '../../shared/log.ts';
import { verifyConfig } from './config.ts';
import { kafkaReader } from '../../db/proof/kafka-reader.ts';
import { formatProof, jsonProof } from './report.ts';
import { proveTopic } from '../../db/proof/prove-topic.ts';

/**
 * `sluice verify`: prints the proof. Resolves with exit code 1 when it is not one.
 * @throws PipelineError when the database or Kafka cannot be asked.
 */
export async function verify(options: { complete?: boolean; json?: boolean }): Promise<number> {
  const config = verifyConfig(process.env);
  const { RAW_TOPIC: topic, WRITER_GROUP: group } = config;
  const log = createLogger({ service: 'verify', level: config.LOG_LEVEL });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-verify', log });
  await using database = openDatabase(config.OPERATOR_DATABASE_URL, {
    applicationName: 'sluice-verify',
    max: 1,
    statementTimeoutMs: 600_000,
  });
  const proof = await proveTopic({
    session: database,
    reader: kafkaReader(client, topic, group),
    topic,
    group,
    complete: options.complete === true,
  });
  process.stdout.write(options.json === true ? `${jsonProof(proof)}\n` : formatProof(proof));
  return proof.proven ? 0 : 1;
}
