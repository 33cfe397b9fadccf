import { TransitSealer } from '../../shared/crypto/transit.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { createLogger } from '../../shared/log.ts';
import { SqsQueue } from '../../shared/sqs/sqs-queue.ts';
import { openTransitKeys } from '../../shared/vault/open-vault.ts';
import { parseConnectorConfig } from './config.ts';
import { runConnector } from './connector.ts';

/** `sluice connector`: SQS → Kafka until SIGTERM. The exit code. @throws PipelineError of action `stop` */
export async function connector(): Promise<number> {
  const config = parseConnectorConfig(process.env);

  const log = createLogger({ service: 'connector', level: config.LOG_LEVEL });
  if (config.VAULT_URL === undefined) {
    log.warn('TRANSIT_SEALING=off: whoever can read the raw topic can read the personal fields');
  }
  const sealer =
    config.VAULT_URL === undefined ? undefined : new TransitSealer(await openTransitKeys(config.VAULT_URL));

  await using open = new AsyncDisposableStack();
  const queue = open.use(
    new SqsQueue({
      queueUrl: config.SQS_QUEUE_URL,
      region: config.AWS_REGION,
      endpoint: config.AWS_ENDPOINT_URL_SQS,
      receivers: config.CONNECTOR_RECEIVERS,
    }),
  );
  const kafka = createKafkaClient({ brokers: config.KAFKA_BROKERS, clientId: 'sluice-connector', log });
  const producer = open.adopt(createRecordProducer(kafka), (closing) => closing.close());

  await runUntilStopped(process, log, async (signals) => {
    await runConnector(
      {
        queue,
        producer,
        sealer,
        log,
        clock: Date.now,
        topic: config.RAW_TOPIC,
        receivers: config.CONNECTOR_RECEIVERS,
        lingerMs: config.CONNECTOR_LINGER_MS,
        maxMessages: config.CONNECTOR_MAX_MESSAGES,
        maxBytes: config.CONNECTOR_MAX_BYTES,
      },
      signals,
    );
  });
  return 0;
}
