import { bigint, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

/** Who opened what, and why; append-only and hash-chained by its trigger: see db/migrations/0005_access_log.sql. */
export const accessLogTable = pgTable('access_log', {
  id: bigint('id', { mode: 'bigint' }).primaryKey(),
  at: timestamp('at', { withTimezone: true }).notNull(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  reason: text('reason').notNull(),
  ticket: text('ticket').notNull(),
  subject: text('subject').notNull(),
  prevHash: bytea('prev_hash').notNull(),
  hash: bytea('hash').notNull(),
});
