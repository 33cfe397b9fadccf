import { z } from 'zod';
import { environmentSlice, parseConfig, postgresUrl, type Env } from '../../shared/config.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const statusShape = { ...environmentSlice, OPERATOR_DATABASE_URL: postgresUrl };

const finishShape = {
  ...environmentSlice,
  /** Owns the tables: the epochs are the keeper's to change. */
  ADMIN_DATABASE_URL: postgresUrl,
};

const rotateShape = { ...finishShape, ...vaultSlice };

const retokenShape = {
  ...environmentSlice,
  ...vaultSlice,
  /** The tokenizer's own role: it reads rows and keys, writes tokens and the access log. */
  TOKENS_DATABASE_URL: postgresUrl,
  /** It goes through the recovery door, so it needs what opens it. */
  VAULT_RECOVERY_KEY_FILE: z.string(),
};

/*
 * What each command reads of the environment, and nothing another one needs. All throw PipelineError CONFIG_INVALID.
 */

export function statusConfig(env: Env) {
  return parseConfig(env, statusShape);
}

export function rotateConfig(env: Env) {
  return parseConfig(env, rotateShape);
}

export function retokenConfig(env: Env) {
  return parseConfig(env, retokenShape);
}

export function finishConfig(env: Env) {
  return parseConfig(env, finishShape);
}
