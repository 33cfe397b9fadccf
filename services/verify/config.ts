import type { z } from 'zod';
import {
  environmentSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  writerGroupSlice,
  type Env,
} from '../../shared/config.ts';

const shape = {
  ...environmentSlice,
  /** The operator's role: it reads the ledger. */
  OPERATOR_DATABASE_URL: postgresUrl,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...writerGroupSlice,
};

/** @throws PipelineError CONFIG_INVALID */
export function verifyConfig(env: Env): z.output<z.ZodObject<typeof shape>> {
  return parseConfig(env, shape);
}
