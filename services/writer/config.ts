import { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  healthSlice,
  integer,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  writerGroupSlice,
  type Env,
} from '../../shared/config.ts';
import { telemetrySlice } from '../../shared/telemetry/open.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const mib = 1_048_576;

const shape = {
  ...environmentSlice,
  ...healthSlice,
  ...telemetrySlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...writerGroupSlice,
  ...vaultSlice,
  /** The writer's own role: it may insert and nothing more. */
  DATABASE_URL: postgresUrl,
  WRITER_BATCH_RECORDS: integer({ min: 1, max: 20_000, default: 5_000 }),
  WRITER_BATCH_BYTES: integer({ min: 65_536, max: 64 * mib, default: 4 * mib }),
  /** Waited only while a batch is being written. */
  WRITER_LINGER_MS: integer({ min: 0, max: 10_000, default: 10 }),
  /** Fetched and not yet written. Twice this, a batch's arrays and 80 MiB of Node stay below 256 MiB. */
  WRITER_QUEUE_BYTES: integer({ min: 65_536, max: 1024 * mib, default: 16 * mib }),
  /**
   * A larger share of dead letters stops the writer: a bad deploy must not drain the topic into them. Senders that err now and then stay
   * far below a fifth; a deploy that breaks a field is far above. 1: none is too large.
   */
  WRITER_MAX_DEAD_RATIO: z
    .string()
    .regex(/^(0(\.\d{1,6})?|1(\.0{1,6})?)$/, 'must be a share from 0 to 1, such as 0.2')
    .transform(Number)
    .default(0.2),
  /** Of the latest records; a bad deploy after good ones makes at most this many times the ratio before it is noticed. */
  WRITER_DEAD_WINDOW_RECORDS: integer({ min: 100, max: 10_000_000, default: 10_000 }),
  /** Below it nothing is concluded: a handful of probes by a new sender is no bad deploy. */
  WRITER_DEAD_MIN_RECORDS: integer({ min: 1, max: 10_000_000, default: 1_000 }),
};

export type WriterConfig = z.output<z.ZodObject<typeof shape>>;

export function writerConfig(env: Env): WriterConfig {
  return parseConfig(env, shape);
}
