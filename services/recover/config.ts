import { z } from 'zod';
import { environmentSlice, parseConfig, postgresUrl, type Env } from '../../shared/config.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const askShape = {
  ...environmentSlice,
  /** The recoverer's own role: it reads rows and keys and writes the access log. */
  RECOVERY_DATABASE_URL: postgresUrl,
  /** With `on`, nothing is opened that a second person has not approved. */
  RECOVERY_REQUIRE_APPROVAL: z.enum(['on', 'off'], 'must be on or off').default('off'),
};

const openShape = {
  ...askShape,
  ...vaultSlice,
  /** The recoverer's vault credential. Nobody else has it. */
  VAULT_RECOVERY_KEY_FILE: z.string(),
};

const approveShape = {
  ...environmentSlice,
  /** The approver's role: it reads requests and approves those of others. */
  APPROVAL_DATABASE_URL: postgresUrl,
};

const listShape = {
  ...environmentSlice,
  APPROVAL_DATABASE_URL: postgresUrl.optional(),
  RECOVERY_DATABASE_URL: postgresUrl.optional(),
};

/** For asking only: needs no vault. @throws PipelineError CONFIG_INVALID, as do all here */
export function askConfig(env: Env): z.output<z.ZodObject<typeof askShape>> {
  return parseConfig(env, askShape);
}

/** For opening. */
export function openConfig(env: Env): z.output<z.ZodObject<typeof openShape>> {
  return parseConfig(env, openShape);
}

export function approveConfig(env: Env): z.output<z.ZodObject<typeof approveShape>> {
  return parseConfig(env, approveShape);
}

/** The database as the approver, or else as the recoverer: both may see the requests. */
export function listDatabaseUrl(env: Env): string {
  const config = parseConfig(env, listShape);
  return (
    config.APPROVAL_DATABASE_URL ?? config.RECOVERY_DATABASE_URL ?? approveConfig(env).APPROVAL_DATABASE_URL
  );
}
