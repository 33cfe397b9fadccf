import { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  type Env,
} from '../../shared/config.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const lookShape = {
  ...environmentSlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
};

const openShape = {
  ...environmentSlice,
  ...vaultSlice,
  /** The recoverer's own role: it writes the access log. */
  RECOVERY_DATABASE_URL: postgresUrl,
  /** Shows that it is the recoverer who asks. */
  VAULT_RECOVERY_KEY_FILE: z.string(),
  RECOVERY_REQUIRE_APPROVAL: z.enum(['on', 'off'], 'must be on or off').default('off'),
};

/** @throws PipelineError CONFIG_INVALID, as does openConfig */
export function lookConfig(env: Env): z.output<z.ZodObject<typeof lookShape>> {
  return parseConfig(env, lookShape);
}

/** For bodies. */
export function openConfig(env: Env): z.output<z.ZodObject<typeof openShape>> {
  return parseConfig(env, openShape);
}
