import type { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  healthSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  writerGroupSlice,
  type Env,
} from '../../shared/config.ts';
import { telemetrySlice } from '../../shared/telemetry/open.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';

const databaseShape = {
  ...environmentSlice,
  /** The replayer's own role: it inserts, and sees what is not sealed. */
  REPLAY_DATABASE_URL: postgresUrl,
};

const planShape = {
  ...databaseShape,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
};

const runShape = {
  ...planShape,
  ...healthSlice,
  ...telemetrySlice,
  ...vaultSlice,
  /** Whose lag is looked at. It is read, and never joined. */
  ...writerGroupSlice,
};

export type PlanConfig = z.output<z.ZodObject<typeof planShape>>;
export type RunConfig = z.output<z.ZodObject<typeof runShape>>;

/** For those that only ask Postgres. @throws PipelineError CONFIG_INVALID */
export function databaseConfig(env: Env): z.output<z.ZodObject<typeof databaseShape>> {
  return parseConfig(env, databaseShape);
}

/** For those that read topics and open nothing. @throws PipelineError CONFIG_INVALID */
export function planConfig(env: Env): PlanConfig {
  return parseConfig(env, planShape);
}

/** For those that make rows. @throws PipelineError CONFIG_INVALID */
export function runConfig(env: Env): RunConfig {
  return parseConfig(env, runShape);
}
