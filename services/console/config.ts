import { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  serviceUrlsSlice,
  sqsSlice,
  wholeNumber,
  writerGroupSlice,
  type Env,
} from '../../shared/config.ts';

const statusShape = {
  ...environmentSlice,
  /** The monitor's own role: it sees counts, days and times. */
  MONITOR_DATABASE_URL: postgresUrl,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...writerGroupSlice,
  ...sqsSlice,
  ...serviceUrlsSlice,
};

export type StatusConfig = z.output<z.ZodObject<typeof statusShape>>;

/** @throws PipelineError CONFIG_INVALID */
export function statusConfig(env: Env): StatusConfig {
  return parseConfig(env, statusShape);
}

const consoleShape = {
  ...statusShape,
  CONSOLE_HOST: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').default('127.0.0.1'),
  CONSOLE_PORT: wholeNumber({ min: 0, max: 65_535 }).default(9_480),
  /** What a browser must show. 128 bits of base64 are 22 characters; what a person thinks up is shorter. */
  CONSOLE_TOKEN: z.string().min(22, 'must have at least 22 characters').optional(),
  /** Names under which browsers may ask for the page, besides its address: against pages elsewhere that rebind their name to it. */
  CONSOLE_ALLOWED_HOSTS: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim().toLowerCase()))
    .refine(
      (names) => names.every((name) => /^[a-z0-9.-]+$/.test(name)),
      'must be host names, comma-separated',
    )
    .optional(),
};

export type ConsoleConfig = z.output<z.ZodObject<typeof consoleShape>>;

/** @throws PipelineError CONFIG_INVALID */
export function consoleConfig(env: Env): ConsoleConfig {
  return parseConfig(env, consoleShape);
}
