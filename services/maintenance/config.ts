import type { z } from 'zod';
import {
  archiveSlice,
  deadLetterTopicSlice,
  environmentSlice,
  healthSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  topicLayoutSlice,
  wholeNumber,
  type Env,
} from '../../shared/config.ts';
import { PipelineError } from '../../shared/errors.ts';
import { telemetrySlice } from '../../shared/telemetry/open.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const shape = {
  ...environmentSlice,
  ...healthSlice,
  ...telemetrySlice,
  /** Owns the tables: it makes their partitions. */
  ADMIN_DATABASE_URL: postgresUrl,
  ...vaultSlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...topicLayoutSlice,
  ...archiveSlice,
  /** Where heads of the access log are kept, and old days go; nowhere, without it. */
  ARCHIVE_URL: archiveSlice.ARCHIVE_URL.optional(),
  /** Days that are older are archived. Needs the archivist's rights in the vault besides the keeper's. */
  ARCHIVE_AFTER_DAYS: wholeNumber({ min: 16, max: 36_500 }).optional(),
};

export type MaintenanceConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function maintenanceConfig(env: Env): MaintenanceConfig {
  const config = parseConfig(env, shape);
  if (config.ARCHIVE_AFTER_DAYS !== undefined && config.ARCHIVE_URL === undefined) {
    throw new PipelineError('CONFIG_INVALID', 'ARCHIVE_AFTER_DAYS needs ARCHIVE_URL');
  }
  if ((config.ARCHIVE_AFTER_DAYS ?? Infinity) <= config.RAW_TOPIC_RETENTION_DAYS) {
    throw new PipelineError(
      'CONFIG_INVALID',
      'ARCHIVE_AFTER_DAYS must be more than RAW_TOPIC_RETENTION_DAYS',
    );
  }
  return config;
}
