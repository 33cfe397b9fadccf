import { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  topicLayoutSlice,
  type Env,
} from '../../shared/config.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const shape = {
  ...environmentSlice,
  ADMIN_DATABASE_URL: postgresUrl,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...topicLayoutSlice,
  ...vaultSlice,
  /** With both, the vault is made ready and its recovery key made. */
  VAULT_URL: vaultSlice.VAULT_URL.optional(),
  VAULT_RECOVERY_KEY_FILE: z.string().optional(),
};

export type MigrateConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function migrateConfig(env: Env): MigrateConfig {
  return parseConfig(env, shape);
}
