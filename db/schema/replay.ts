import { sql } from 'drizzle-orm';
import { bigint, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

const timestamptz = (name: string) => timestamp(name, { withTimezone: true });
const job = () =>
  text('job')
    .notNull()
    .references(() => replayJobsTable.job);

/** Replays: see db/migrations/0013_replay.sql. */
export const replayJobsTable = pgTable('replay_jobs', {
  job: text('job').primaryKey(),
  plan: jsonb('plan').notNull(),
  planSha256: bytea('plan_sha256').notNull(),
  state: text('state', { enum: ['running', 'paused', 'cancelled', 'done'] })
    .notNull()
    .default('running'),
  createdAt: timestamptz('created_at').notNull().defaultNow(),
  createdBy: text('created_by')
    .notNull()
    .default(sql`session_user`),
  changedAt: timestamptz('changed_at').notNull().defaultNow(),
  report: jsonb('report'),
});

/** What each batch of a replay covered and what became of it. */
export const replayLedgerTable = pgTable(
  'replay_ledger',
  {
    job: job(),
    partition: integer('partition').notNull(),
    firstOffset: bigint('first_offset', { mode: 'bigint' }).notNull(),
    lastOffset: bigint('last_offset', { mode: 'bigint' }).notNull(),
    read: integer('read').notNull(),
    inserted: integer('inserted').notNull(),
    duplicate: integer('duplicate').notNull(),
    dead: integer('dead').notNull(),
    filtered: integer('filtered').notNull(),
    missed: bigint('missed', { mode: 'bigint' }).notNull(),
    unknownFields: integer('unknown_fields').notNull(),
    days: jsonb('days').notNull(),
    deadRecords: jsonb('dead_records').notNull(),
    writtenBy: text('written_by').notNull(),
    writtenAt: timestamptz('written_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.job, table.partition, table.firstOffset] })],
);

/** Who works on a replay. */
export const replayWorkersTable = pgTable(
  'replay_workers',
  {
    job: job(),
    worker: text('worker').notNull(),
    seenAt: timestamptz('seen_at').notNull().defaultNow(),
    perSecond: integer('per_second'),
    heldBy: text('held_by'),
  },
  (table) => [primaryKey({ columns: [table.job, table.worker] })],
);
