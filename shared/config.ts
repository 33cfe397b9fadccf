import { z } from 'zod';
import { PipelineError } from './errors.ts';
import { isEncrypted, parsePostgresUrl } from './postgres-url.ts';

/** Environment variables as a process received them. */
export type Env = Readonly<Record<string, string | undefined>>;

/**
 * Parses the environment with one zod object made of the slices a process needs.
 * All problems are reported at once, by name and **never by value**; empty means unset. Where SLUICE_ENV is among them
 * and `prod`, what must not run in production is a problem too (see {@link prodProblems}).
 *
 * @throws PipelineError CONFIG_INVALID naming every variable that is missing or wrong.
 */
export function parseConfig<S extends z.ZodRawShape>(env: Env, shape: S): z.output<z.ZodObject<S>> {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = z.object(shape).safeParse(given);
  const used = Object.fromEntries(Object.keys(shape).map((name) => [name, given[name]]));
  const problems = [
    ...(result.error?.issues ?? []).map((issue) => {
      const name = issue.path.join('.');
      return given[name] === undefined ? `${name} is not set` : `${name} ${issue.message}`;
    }),
    ...prodProblems(used),
  ];
  if (result.success && problems.length === 0) return result.data;
  throw new PipelineError(
    'CONFIG_INVALID',
    `${[...new Set(problems)].join('; ')} (for the local stack: eval "$(npx sluice stack env)")`,
  );
}

/**
 * What SLUICE_ENV=prod refuses of the variables a process reads: plaintext transport, this machine as a server, the file
 * vault, and bodies in Kafka that are not sealed.
 */
export function prodProblems(used: Env): string[] {
  if (used['SLUICE_ENV'] !== 'prod') return [];
  const problems: string[] = [];
  if (Object.hasOwn(used, 'KAFKA_BROKERS') && used['KAFKA_TLS'] !== 'on') {
    problems.push('KAFKA_TLS must be on in prod');
  }
  for (const [name, value] of Object.entries(used)) {
    // Probes and scrapes are of this machine, or of the pod that it is; and telemetry, which holds nothing personal, goes to an agent there.
    if (value === undefined || /^(HEALTH_HOST|METRICS_HOST|CONSOLE_HOST|SERVICE_URLS|OTEL_.*)$/.test(name))
      continue;
    if (/^(vault\+)?http:/i.test(value)) problems.push(`${name} must be https in prod`);
    if (/^postgres(ql)?:/i.test(value) && !isEncrypted(value)) {
      problems.push(`${name} must say sslmode=verify-full in prod`);
    }
    if (/(^|[/@,\s])(localhost|127\.[\d.]+|\[?::1\]?|0\.0\.0\.0)(?=[:/,\s]|$)/i.test(value)) {
      problems.push(`${name} must not be this machine in prod`);
    }
    if (name === 'VAULT_URL' && /^file:/i.test(value)) problems.push(`${name} must not be a file in prod`);
    if (name === 'TRANSIT_SEALING' && value === 'off') problems.push(`${name} must be on in prod`);
  }
  return problems;
}

/** An integer within bounds, from text. */
export function integer(bounds: { min: number; max: number; default: number }) {
  return wholeNumber(bounds).default(bounds.default);
}

/** The same without a default. */
export function wholeNumber(bounds: { min: number; max: number }) {
  const message = `must be a whole number from ${bounds.min} to ${bounds.max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .refine((n) => n >= bounds.min && n <= bounds.max, message);
}

export const environmentSlice = {
  SLUICE_ENV: z.enum(['dev', 'qa', 'prod'], 'must be dev, qa or prod').default('dev'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], 'must be a pino level')
    .default('info'),
};

/** Where a service answers probes: nowhere unless a port is given; 0 is any that is free. */
export const healthSlice = {
  HEALTH_HOST: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').default('127.0.0.1'),
  HEALTH_PORT: wholeNumber({ min: 0, max: 65_535 }).optional(),
};

/** Where services answer probes, for those who watch: `http://connector-1:8080,http://writer-1:8080`. */
export const serviceUrlsSlice = {
  SERVICE_URLS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim().replace(/\/+$/, '')))
    .refine(
      (urls) => urls.every((url) => /^https?:\/\/[^/?#@\s]+$/.test(url) && URL.canParse(url)),
      'must be http://HOST:PORT, comma-separated',
    )
    .optional(),
};

/** What is made of it: shared/kafka/access.ts. */
export const kafkaSlice = {
  KAFKA_BROKERS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine(
      (list) => list.every((part) => /^[^:\s]+:\d{1,5}$/.test(part)),
      'must be HOST:PORT, comma-separated',
    ),
  KAFKA_TLS: z.enum(['on', 'off'], 'must be on or off').default('off'),
  /** PEM. Of the authority, where it is not one that every machine knows; and of this client, where the brokers ask for it. */
  KAFKA_CA_FILE: z.string().optional(),
  KAFKA_CERT_FILE: z.string().optional(),
  KAFKA_KEY_FILE: z.string().optional(),
  KAFKA_SASL_MECHANISM: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512'], 'must be plain, scram-sha-256 or scram-sha-512')
    .optional(),
  KAFKA_USERNAME: z.string().optional(),
  KAFKA_PASSWORD: z.string().optional(),
  KAFKA_PASSWORD_FILE: z.string().optional(),
};

const topicName = z.string().regex(/^[A-Za-z0-9._-]{1,200}$/, 'must be a Kafka topic name');
export const rawTopicSlice = { RAW_TOPIC: topicName.default('user-logins.raw') };
export const deadLetterTopicSlice = { DEAD_LETTER_TOPIC: topicName.default('user-logins.dead') };

/** How long topics keep records: for those that make them, and those that say until when something can be read. */
export const topicRetentionSlice = {
  /**
   * Counted from SentTimestamp, and SQS may hand over a message that is 14 days old: with less than that, Kafka could delete it unread.
   * The default leaves a writer a week to be down.
   */
  RAW_TOPIC_RETENTION_DAYS: integer({ min: 15, max: 3_650, default: 21 }),
  /** Counted the same way. Dead letters wait for a person. */
  DEAD_LETTER_TOPIC_RETENTION_DAYS: integer({ min: 15, max: 3_650, default: 90 }),
};

/** How topics are laid out: for those that make them. */
export const topicLayoutSlice = {
  TOPIC_PARTITIONS: integer({ min: 1, max: 10_000, default: 8 }),
  /** Replicas of a partition: 1 in dev unless given, otherwise to be decided by whoever runs it. */
  TOPIC_REPLICATION: wholeNumber({ min: 1, max: 15 }).optional(),
  /** Replicas that must have a record before it is acknowledged: one less than there are, unless given. */
  TOPIC_MIN_INSYNC: wholeNumber({ min: 1, max: 15 }).optional(),
  ...topicRetentionSlice,
};

export const writerGroupSlice = { WRITER_GROUP: topicName.default('sluice-writer') };

export const sqsSlice = {
  AWS_REGION: z.string(),
  AWS_ENDPOINT_URL_SQS: z.url('must be a URL').optional(),
  SQS_QUEUE_URL: z.url('must be a URL'),
};

/** Where SQS puts what was received too often, or what a producer's own policy says. */
export const deadLetterQueueSlice = { SQS_DEAD_LETTER_QUEUE_URL: z.url('must be a URL') };

/** One server or several: see {@link parsePostgresUrl}. */
export const postgresUrl = z.string().superRefine((text, context) => {
  const parsed = parsePostgresUrl(text);
  if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem });
});

/** Where archived days lie. */
export const archiveSlice = {
  ARCHIVE_URL: z
    .string()
    .regex(
      /^(file:.|s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9_.-]+)*\/?$)/,
      'must be file:DIRECTORY or s3://BUCKET/PREFIX',
    ),
  /** For S3. */
  AWS_REGION: z.string().optional(),
  AWS_ENDPOINT_URL_S3: z.url('must be a URL').optional(),
};
