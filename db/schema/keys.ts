import { bigint, date, index, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

/** The public key of each day: see db/migrations/0004_keys.sql. */
export const dayKeysTable = pgTable('day_keys', {
  day: date('day').primaryKey(),
  publicKey: bytea('public_key').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  destroyedAt: timestamp('destroyed_at', { withTimezone: true }),
});

/** Data keys, sealed to their day's public key. */
export const dataKeysTable = pgTable(
  'data_keys',
  {
    dekId: bigint('dek_id', { mode: 'bigint' }).generatedAlwaysAsIdentity().primaryKey(),
    day: date('day')
      .notNull()
      .references(() => dayKeysTable.day),
    sealedDek: bytea('sealed_dek').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    createdBy: text('created_by').notNull(),
  },
  (table) => [index('data_keys_day').on(table.day)],
);
