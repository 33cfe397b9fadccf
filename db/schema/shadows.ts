import { bigint, date, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import { sql } from 'drizzle-orm';

const timestamptz = (name: string) => timestamp(name, { withTimezone: true });

/** Shadow tables and the replays that fill them: see db/migrations/0012_shadows.sql. */
export const shadowsTable = pgTable('shadows', {
  job: text('job').primaryKey(),
  tableName: text('table_name').notNull(),
  shadowName: text('shadow_name').notNull().unique(),
  plannedAt: timestamptz('planned_at').notNull(),
  madeAt: timestamptz('made_at').notNull().defaultNow(),
  madeBy: text('made_by')
    .notNull()
    .default(sql`session_user`),
});

/** Days that changed places with their shadows. */
export const shadowSwapsTable = pgTable(
  'shadow_swaps',
  {
    job: text('job').notNull(),
    day: date('day').notNull(),
    state: text('state', { enum: ['swapped', 'unswapped'] }).notNull(),
    newerThan: bigint('newer_than', { mode: 'bigint' }).notNull(),
    carried: bigint('carried', { mode: 'bigint' }).notNull(),
    at: timestamptz('at')
      .notNull()
      .default(sql`clock_timestamp()`),
    by: text('by')
      .notNull()
      .default(sql`session_user`),
    cleanedAt: timestamptz('cleaned_at'),
  },
  (table) => [primaryKey({ columns: [table.job, table.day] })],
);
