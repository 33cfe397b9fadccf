import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PipelineError } from '../../shared/errors.ts';
import type { Filter } from '../../shared/streams/selection.ts';
import type { PartitionRange } from './offset-ranges.ts';

const offset = z.string().regex(/^\d{1,18}$/);
const rateLimit = z.number().int().positive().nullable();

/** Small letters, digits, hyphens and underscores, 30 at most: a part of names of tables. */
export const jobName = /^[a-z][a-z0-9_-]{0,29}$/;

const planShape = z.strictObject({
  format: z.literal(1),
  job: z.string().regex(jobName),
  stream: z.string(),
  /** Of the stream, when the plan was made: rows would be others with another. */
  transform: z.number().int().positive(),
  source: z.enum(['raw', 'dead']),
  topic: z.string(),
  /** By SentTimestamp, ISO 8601; `to` is excluded. */
  time: z.strictObject({ from: z.iso.datetime().nullable(), to: z.iso.datetime().nullable() }),
  filter: z.strictObject({
    codes: z.array(z.string()).nullable(),
    eventIds: z.array(z.uuid()).nullable(),
    userIds: z.array(z.string()).nullable(),
  }),
  /** Frozen: what was written to the topic later is not part of it. `to` is excluded. */
  ranges: z.array(z.strictObject({ partition: z.number().int().nonnegative(), from: offset, to: offset })),
  target: z.enum(['live', 'shadow', 'dry-run']),
  /** Records a second, of each process. Null: no limit. */
  perSecond: rateLimit,
  /** Ranges that each process works on at once. */
  concurrency: z.number().int().positive().max(64),
  /** Records that the live writers may be behind before a replay slows down. Null: they are not looked at. */
  maxLiveLag: rateLimit,
  /** Milliseconds that a small commit may take. Null: it is not looked at. */
  maxLatencyMs: rateLimit,
  /** Records of days that take no rows are counted as dead, not refused. */
  acceptDead: z.boolean(),
  /** Records that were in the ranges and selected, as far as can be seen without opening them. */
  expected: z.array(
    z.strictObject({
      partition: z.number().int().nonnegative(),
      day: z.string(),
      records: z.number().int().nonnegative(),
    }),
  ),
  plannedAt: z.iso.datetime(),
});

/** What a replay does, all of it. */
export type ReplayPlan = z.output<typeof planShape>;

/** The hash that a plan is known by: of its JSON, keys in the order of the shape. */
export function planHash(plan: ReplayPlan): Buffer {
  return createHash('sha256')
    .update(JSON.stringify(planShape.parse(plan)))
    .digest();
}

/** A plan as a file holds it, with its hash, which shows a change. */
export function planText(plan: ReplayPlan): string {
  return `${JSON.stringify({ ...plan, sha256: planHash(plan).toString('hex') }, undefined, 2)}\n`;
}

/** @throws PipelineError REPLAY_PLAN when it is none, or was changed */
export function parsePlan(text: string): ReplayPlan {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PipelineError('REPLAY_PLAN', 'the plan is not JSON');
  }
  const found = planShape.extend({ sha256: z.string() }).safeParse(value);
  if (!found.success) {
    const where = found.error.issues[0]?.path.join('.') ?? '';
    throw new PipelineError('REPLAY_PLAN', `the plan is not one of this version (${where})`);
  }
  const { sha256, ...plan } = found.data;
  if (planHash(plan).toString('hex') !== sha256)
    throw new PipelineError('REPLAY_PLAN', 'the plan was changed');
  return plan;
}

/** A plan out of the database. @throws PipelineError REPLAY_PLAN */
export function storedPlan(value: unknown): ReplayPlan {
  const found = planShape.safeParse(value);
  if (found.success) return found.data;
  throw new PipelineError('REPLAY_PLAN', 'the job is of another version of Sluice');
}

/** Its ranges, in its order: the place of each is what it is claimed by. */
export function rangesOf({ ranges }: ReplayPlan): PartitionRange[] {
  return ranges.map(({ partition, from, to }) => ({ partition, from: BigInt(from), to: BigInt(to) }));
}

/** Which records of the ranges are selected, before they are opened. */
export function filterOf({ time, filter, source }: ReplayPlan): Filter {
  const ms = (text: string | null) => (text === null ? undefined : Date.parse(text));
  return {
    codes: source === 'dead' && filter.codes !== null ? new Set(filter.codes) : undefined,
    fromMs: ms(time.from),
    toMs: ms(time.to),
    failedFromMs: undefined,
    failedToMs: undefined,
    partitions: undefined,
    eventIds: filter.eventIds === null ? undefined : new Set(filter.eventIds),
  };
}
