import type { z } from 'zod';
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
  /** Owns the tables: it makes their partitions. */
  ADMIN_DATABASE_URL: postgresUrl,
  ...vaultSlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...topicLayoutSlice,
};

export type MaintenanceConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function maintenanceConfig(env: Env): MaintenanceConfig {
  return parseConfig(env, shape);
}
