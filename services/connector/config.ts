import { z } from 'zod';
import {
  environmentSlice,
  integer,
  kafkaSlice,
  parseConfig,
  rawTopicSlice,
  sqsSlice,
  vaultSlice,
  type Env,
} from '../../shared/config.ts';

const mebibyte = 1_048_576;

const connectorSlice = {
  /** One long poll each. Four receive about 4,000 messages a second at a round trip of 10 ms. */
  CONNECTOR_RECEIVERS: integer({ min: 1, max: 64, default: 4 }),
  /** How long a record may wait for company in its partition. */
  CONNECTOR_LINGER_MS: integer({ min: 0, max: 1_000, default: 5 }),
  /**
   * Held at once. At 10,000 messages a second and half a second to publish and delete, 5,000 are under way; and a dozen
   * connectors stay within the 120,000 that SQS lets a queue have in flight.
   */
  CONNECTOR_MAX_MESSAGES: integer({ min: 10, max: 100_000, default: 10_000 }),
  /**
   * Bodies held and reserved at once. A poll reserves 10 MiB, for ten messages may be 1 MiB each: four of them leave
   * 24 MiB for what is held. A body passes through several copies (answer, text, sealed, request), so the process takes
   * 100 MiB and up to five times this: 160 MiB in all with 200,000 logins waiting, 400 MiB when every body is 1 MiB.
   */
  CONNECTOR_MAX_BYTES: integer({ min: 16 * mebibyte, max: 4_096 * mebibyte, default: 64 * mebibyte }),
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

/** @throws PipelineError CONFIG_INVALID */
export function parseConnectorConfig(env: Env) {
  const common = { ...environmentSlice, ...sqsSlice, ...kafkaSlice, ...rawTopicSlice, ...connectorSlice };
  return env['TRANSIT_SEALING'] === 'off'
    ? parseConfig(env, { ...common, ...noSealingSlice })
    : parseConfig(env, { ...common, ...sealingSlice });
}
