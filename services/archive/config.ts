import type { z } from 'zod';
import {
  archiveSlice,
  environmentSlice,
  parseConfig,
  postgresUrl,
  topicRetentionSlice,
  type Env,
} from '../../shared/config.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const shape = {
  ...environmentSlice,
  /** Owns the tables: it takes partitions out and puts them back. */
  ADMIN_DATABASE_URL: postgresUrl,
  /** With the archivist's credential, who moves keys that it cannot open. */
  ...vaultSlice,
  ...archiveSlice,
  RAW_TOPIC_RETENTION_DAYS: topicRetentionSlice.RAW_TOPIC_RETENTION_DAYS,
};

export type ArchiveConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function archiveConfig(env: Env): ArchiveConfig {
  return parseConfig(env, shape);
}
