import { TransitSealer } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import { Health } from '../../shared/health/health.ts';
import { superviseHealth } from '../../shared/health/serve.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { createLogger, type Logger } from '../../shared/log.ts';
import { Outage } from '../../shared/outage.ts';
import { Pace } from '../../shared/pace.ts';
import type { Queue, QueueMessage } from '../../shared/sqs/ports.ts';
import { SqsQueue } from '../../shared/sqs/sqs-queue.ts';
import { openObserved } from '../../shared/telemetry/observed.ts';
import { noTelemetry, type Telemetry } from '../../shared/telemetry/telemetry.ts';
import { openTransitKeys } from '../../shared/vault/open-vault.ts';
import type { TransitKeys } from '../../shared/vault/ports.ts';
import { parseConnectorConfig, parseDrainConfig, type ConnectorConfig } from './config.ts';
import { runConnector } from './connector.ts';
import { Drain } from './drain.ts';
import { noCounts } from './held.ts';
import { ConnectorObserver } from './observe.ts';

/** `sluice connector`: SQS → Kafka until SIGTERM. The exit code. @throws PipelineError of action `stop` */
export async function connector(options: { pretty?: boolean } = {}): Promise<number> {
  const config = parseConnectorConfig(process.env);
  await using observed = await openObserved('connector', config, options);
  const { log, telemetry } = observed;
  if (config.VAULT_URL === undefined) {
    log.warn('TRANSIT_SEALING=off: whoever can read the raw topic can read the personal fields');
  }
  await run({ config, log, telemetry });
  return 0;
}

interface DrainReport {
  /** Acknowledged by Kafka. */
  readonly published: number;
  /** And taken off the queue. */
  readonly deleted: number;
  /** Left there: no transit key of their day exists, nor will. */
  readonly unsealable: number;
  /** Stopped before the queue was empty. */
  readonly unfinished: boolean;
}

/**
 * The dead-letter queue onto the raw topic, once: exactly as the connector moves the queue itself, so that every message keeps its MessageId
 * and SentTimestamp. (SQS's own redrive sends new messages, which would be other events.)
 *
 * @throws PipelineError USAGE for a FIFO queue, whose dead letters have another SentTimestamp than they were sent with; of action `stop`
 */
export async function drainDeadLetterQueue(options: {
  readonly wanted: (message: QueueMessage) => boolean;
  readonly limit: number;
  readonly perSecond: number;
  /** On a FIFO queue: although a message that is a row already becomes another where the day has changed. */
  readonly acceptNewTime: boolean;
}): Promise<DrainReport> {
  const config = parseDrainConfig(process.env);
  if (config.SQS_QUEUE_URL.endsWith('.fifo') && !options.acceptNewTime) {
    throw new PipelineError(
      'USAGE',
      'SQS gives the messages of a FIFO dead-letter queue a new SentTimestamp, so that one which is a row already may become a second row of another day: with --accept-new-time all the same',
    );
  }
  const log = createLogger({
    service: 'dlq',
    level: config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL,
  });
  const pace = new Pace(options.perSecond);
  const drained = { ...config, CONNECTOR_RECEIVERS: 1, HEALTH_PORT: undefined, METRICS_PORT: undefined };
  return await run({ config: drained, log, telemetry: noTelemetry }, (queue) => {
    return new Drain({ queue, wanted: options.wanted, limit: options.limit, pace });
  });
}

/** Until SIGTERM, or until a drain is over. */
async function run(
  parts: { config: ConnectorConfig; log: Logger; telemetry: Telemetry },
  drainOf?: (queue: Queue) => Drain,
): Promise<DrainReport> {
  const { config, log, telemetry } = parts;
  await using open = new AsyncDisposableStack();
  const health = new Health('connector');
  open.use(await superviseHealth(health, { config, log, process, telemetry }));
  const sqs = open.use(
    new SqsQueue({
      queueUrl: config.SQS_QUEUE_URL,
      region: config.AWS_REGION,
      endpoint: config.AWS_ENDPOINT_URL_SQS,
      receivers: config.CONNECTOR_RECEIVERS,
    }),
  );
  const drain = drainOf?.(sqs);
  const kafka = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-connector', log });
  const producer = open.adopt(createRecordProducer(kafka), (closing) => closing.close());
  let counts = noCounts();
  let unfinished = false;

  await runUntilStopped(process, log, async (signals) => {
    const transitKeys = await openWhenThere(config, log, health, signals.stop);
    if (transitKeys === 'stopped') return;
    const sealer = transitKeys === undefined ? undefined : new TransitSealer(transitKeys);
    // What the vault has destroyed, and what is no longer needed, is not kept in memory either.
    const tending = setInterval(() => void sealer?.tend(), 1_000).unref();
    open.defer(() => {
      clearInterval(tending);
      sealer?.forgetAll();
    });
    const stop = drain === undefined ? signals.stop : AbortSignal.any([signals.stop, drain.over]);
    counts = await runConnector(
      {
        queue: drain ?? sqs,
        producer,
        sealer,
        log,
        clock: Date.now,
        topic: config.RAW_TOPIC,
        receivers: config.CONNECTOR_RECEIVERS,
        lingerMs: config.CONNECTOR_LINGER_MS,
        maxMessages: config.CONNECTOR_MAX_MESSAGES,
        maxBytes: config.CONNECTOR_MAX_BYTES,
        health,
        observer: new ConnectorObserver(telemetry, {
          queueUrl: config.SQS_QUEUE_URL,
          topic: config.RAW_TOPIC,
          clock: Date.now,
        }),
      },
      { stop, force: signals.force },
    );
    await drain?.handBackOthers();
    unfinished = drain?.over.aborted === false;
  });
  const { published, deleted, unsealable } = counts;
  return { published, deleted, unsealable, unfinished };
}

/** Undefined where nothing is sealed. A vault that is out of reach is waited for. @throws PipelineError of action `stop` */
async function openWhenThere(
  config: ConnectorConfig,
  log: Logger,
  health: Health,
  stop: AbortSignal,
): Promise<TransitKeys | 'stopped' | undefined> {
  const { VAULT_URL } = config;
  if (VAULT_URL === undefined) return undefined;
  const outage = new Outage('vault', { log, observer: health.dependency('vault') });
  try {
    return await outage.waitOut(() => openTransitKeys({ ...config, VAULT_URL }), stop);
  } catch (error) {
    if (error instanceof PipelineError && error.action === 'retry' && stop.aborted) return 'stopped';
    throw error;
  }
}
