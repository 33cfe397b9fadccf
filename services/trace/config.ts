import { z } from 'zod';
import { parseConfig, type Env } from '../../shared/config.ts';

const shape = {
  /** Jaeger's query address: where its page is. */
  JAEGER_URL: z.url({ protocol: /^https?$/, error: 'must be a URL' }).default('http://127.0.0.1:16686'),
};

export type TraceConfig = z.output<z.ZodObject<typeof shape>>;

/** @throws PipelineError CONFIG_INVALID */
export function traceConfig(env: Env): TraceConfig {
  return parseConfig(env, shape);
}
