import { sql } from 'drizzle-orm';
import {
  bigint,
  date,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  varchar,
} from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

const timestamptz = (name: string) => timestamp(name, { withTimezone: true });

/** Orders to shred and their proofs: see db/migrations/0007_shredding.sql. */
export const shredsTable = pgTable(
  'shreds',
  {
    id: bigint('id', { mode: 'bigint' }).generatedAlwaysAsIdentity().primaryKey(),
    scope: text('scope', { enum: ['day', 'user', 'token_epoch'] }).notNull(),
    day: date('day'),
    userId: varchar('user_id', { length: 128 }),
    tokenEpoch: integer('token_epoch'),
    reason: text('reason').notNull(),
    ticket: text('ticket').notNull(),
    orderedBy: text('ordered_by')
      .notNull()
      .default(sql`session_user`),
    orderedAt: timestamptz('ordered_at').notNull().defaultNow(),
    finishedAt: timestamptz('finished_at'),
    proof: jsonb('proof'),
    sweptAt: timestamptz('swept_at'),
  },
  (table) => [
    uniqueIndex('shreds_day')
      .on(table.day)
      .where(sql`scope = 'day'`),
  ],
);

/** Days in an archive: see db/migrations/0008_archives.sql. */
export const archivesTable = pgTable(
  'archives',
  {
    tableName: text('table_name').notNull(),
    day: date('day').notNull(),
    state: text('state', {
      enum: ['detaching', 'writing', 'moving_key', 'dropping', 'archived', 'restoring', 'restored'],
    }).notNull(),
    location: text('location').notNull(),
    manifestSha256: bytea('manifest_sha256'),
    rows: bigint('rows', { mode: 'bigint' }),
    bytes: bigint('bytes', { mode: 'bigint' }),
    beganAt: timestamptz('began_at').notNull().defaultNow(),
    archivedAt: timestamptz('archived_at'),
    restoredAt: timestamptz('restored_at'),
    keepUntil: timestamptz('keep_until'),
    tokensClearedAt: timestamptz('tokens_cleared_at'),
  },
  (table) => [primaryKey({ columns: [table.tableName, table.day] })],
);

/** Epochs of the token pepper: see db/migrations/0009_token_epochs.sql. */
export const tokenEpochsTable = pgTable('token_epochs', {
  epoch: integer('epoch').primaryKey(),
  state: text('state', { enum: ['current', 'prior', 'retired'] }).notNull(),
  beganAt: timestamptz('began_at').notNull().defaultNow(),
  retiredAt: timestamptz('retired_at'),
});

/** Recoveries that wait for a second person: see db/migrations/0010_recovery_requests.sql. */
export const recoveryRequestsTable = pgTable('recovery_requests', {
  id: bigint('id', { mode: 'bigint' }).generatedAlwaysAsIdentity().primaryKey(),
  subject: text('subject').notNull(),
  reason: text('reason').notNull(),
  ticket: text('ticket').notNull(),
  requestedBy: text('requested_by')
    .notNull()
    .default(sql`session_user`),
  requestedAt: timestamptz('requested_at').notNull().defaultNow(),
  expiresAt: timestamptz('expires_at')
    .notNull()
    .default(sql`now() + interval '1 day'`),
  approvedBy: text('approved_by'),
  approvedAt: timestamptz('approved_at'),
  usedAt: timestamptz('used_at'),
});
