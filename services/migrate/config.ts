import { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  topicLayoutSlice,
  vaultSlice,
  type Env,
} from '../../shared/config.ts';

const shape = {
  ...environmentSlice,
  ADMIN_DATABASE_URL: postgresUrl,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...topicLayoutSlice,
  /** With both, the file vault and its recovery key are made. */
  VAULT_URL: vaultSlice.VAULT_URL.optional(),
  VAULT_RECOVERY_KEY_FILE: z.string().optional(),
};

export type MigrateConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function migrateConfig(env: Env): MigrateConfig {
  return parseConfig(env, shape);
}
