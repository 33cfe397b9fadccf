import type { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  integer,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  vaultSlice,
  writerGroupSlice,
  type Env,
} from '../../shared/config.ts';

const mib = 1_048_576;

const shape = {
  ...environmentSlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...writerGroupSlice,
  ...vaultSlice,
  /** The writer's own role: it may insert and nothing more. */
  DATABASE_URL: postgresUrl,
  WRITER_BATCH_RECORDS: integer({ min: 1, max: 20_000, default: 5_000 }),
  WRITER_BATCH_BYTES: integer({ min: 65_536, max: 64 * mib, default: 4 * mib }),
  WRITER_LINGER_MS: integer({ min: 0, max: 10_000, default: 10 }),
  /** Fetched and not yet written. Twice this, a batch's arrays and 80 MiB of Node stay below 256 MiB. */
  WRITER_QUEUE_BYTES: integer({ min: 65_536, max: 1024 * mib, default: 16 * mib }),
};

export type WriterConfig = z.output<z.ZodObject<typeof shape>>;

export function writerConfig(env: Env): WriterConfig {
  return parseConfig(env, shape);
}
