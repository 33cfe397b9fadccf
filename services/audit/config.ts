import type { z } from 'zod';
import { archiveSlice, environmentSlice, parseConfig, postgresUrl, type Env } from '../../shared/config.ts';

const shape = {
  ...environmentSlice,
  ...archiveSlice,
  /** The operator's role: it reads the access log. */
  OPERATOR_DATABASE_URL: postgresUrl,
  /** Where maintain keeps heads of the log; without it, only heads given by hand are compared. */
  ARCHIVE_URL: archiveSlice.ARCHIVE_URL.optional(),
};

/** @throws PipelineError CONFIG_INVALID */
export function auditConfig(env: Env): z.output<z.ZodObject<typeof shape>> {
  return parseConfig(env, shape);
}
