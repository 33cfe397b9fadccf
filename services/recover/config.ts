import { z } from 'zod';
import { environmentSlice, parseConfig, postgresUrl, vaultSlice, type Env } from '../../shared/config.ts';

const shape = {
  ...environmentSlice,
  ...vaultSlice,
  /** The recoverer's own role: it reads rows and keys and writes the access log. */
  RECOVERY_DATABASE_URL: postgresUrl,
  /** The recoverer's vault credential. Nobody else has it. */
  VAULT_RECOVERY_KEY_FILE: z.string(),
};

export type RecoverConfig = z.output<z.ZodObject<typeof shape>>;

export function recoverConfig(env: Env): RecoverConfig {
  return parseConfig(env, shape);
}
