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
  /** The shredder's own role: it nulls columns and reads nothing that is sealed. */
  SHRED_DATABASE_URL: postgresUrl,
  /** With the shredder's credential: it lists and destroys keys and reads none. */
  ...vaultSlice,
  /** Needed when the day lies in an archive. */
  ARCHIVE_URL: archiveSlice.ARCHIVE_URL.optional(),
  /** What the topics keep, to say until when. */
  ...topicRetentionSlice,
};

export type ShredConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function shredConfig(env: Env): ShredConfig {
  return parseConfig(env, shape);
}
