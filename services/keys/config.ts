import type { z } from 'zod';
import {
  environmentSlice,
  parseConfig,
  postgresUrl,
  topicRetentionSlice,
  type Env,
} from '../../shared/config.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const shape = {
  ...environmentSlice,
  /** The operator's role: it sees which keys there are. */
  OPERATOR_DATABASE_URL: postgresUrl,
  /** With a credential that may list keys, and read none. */
  ...vaultSlice,
  /** What the topics keep, to say when transit keys go. */
  ...topicRetentionSlice,
};

export type KeysConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function keysConfig(env: Env): KeysConfig {
  return parseConfig(env, shape);
}
