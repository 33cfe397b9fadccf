import { z } from 'zod';
import {
  deadLetterQueueSlice,
  environmentSlice,
  healthSlice,
  integer,
  kafkaSlice,
  parseConfig,
  rawTopicSlice,
  sqsSlice,
  type Env,
} from '../../shared/config.ts';
import { telemetrySlice } from '../../shared/telemetry/open.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const mebibyte = 1_048_576;

const connectorSlice = {
  /** One long poll each. Eight receive about 8,000 messages a second at a round trip of 10 ms. */
  CONNECTOR_RECEIVERS: integer({ min: 1, max: 64, default: 8 }),
  /** How long a record may wait for company while a request is out, or the queue has a backlog; for none while the pipe is idle. */
  CONNECTOR_LINGER_MS: integer({ min: 0, max: 1_000, default: 5 }),
  /**
   * Held at once. At 10,000 messages a second and half a second to publish and delete, 5,000 are under way; and a dozen
   * connectors stay within the 120,000 that SQS lets a queue have in flight.
   */
  CONNECTOR_MAX_MESSAGES: integer({ min: 10, max: 100_000, default: 10_000 }),
  /**
   * Bodies held and about to be read: ten thousand logins with what they take besides, or one answer of ten bodies of 1 MiB. The process takes
   * 120 MiB and two or three times this: a body passes through several copies (answer, text, sealed, request).
   */
  CONNECTOR_MAX_BYTES: integer({ min: 4 * mebibyte, max: 4_096 * mebibyte, default: 24 * mebibyte }),
};

/** VAULT_URL is what keys are read from; with TRANSIT_SEALING=off there are none to read, and it is undefined. */
const sealingSlice = {
  TRANSIT_SEALING: z.enum(['on', 'off'], 'must be on or off').default('on'),
  ...vaultSlice,
};
const noSealingSlice = {
  TRANSIT_SEALING: sealingSlice.TRANSIT_SEALING,
  VAULT_URL: z
    .string()
    .optional()
    .transform(() => undefined),
};

export type ConnectorConfig = ReturnType<typeof parseConnectorConfig>;

/** @throws PipelineError CONFIG_INVALID */
export function parseConnectorConfig(env: Env) {
  const common = {
    ...environmentSlice,
    ...healthSlice,
    ...telemetrySlice,
    ...sqsSlice,
    ...kafkaSlice,
    ...rawTopicSlice,
    ...connectorSlice,
  };
  return env['TRANSIT_SEALING'] === 'off'
    ? parseConfig(env, { ...common, ...noSealingSlice })
    : parseConfig(env, { ...common, ...sealingSlice });
}

/**
 * Of a connector that empties the dead-letter queue: SQS_DEAD_LETTER_QUEUE_URL is its queue.
 * @throws PipelineError CONFIG_INVALID
 */
export function parseDrainConfig(env: Env): ConnectorConfig {
  const { SQS_DEAD_LETTER_QUEUE_URL } = parseConfig(env, deadLetterQueueSlice);
  return parseConnectorConfig({ ...env, SQS_QUEUE_URL: SQS_DEAD_LETTER_QUEUE_URL });
}
