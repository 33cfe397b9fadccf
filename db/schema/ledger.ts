import { bigint, check, index, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import { sql } from 'drizzle-orm';

/** What each batch covered of a partition and what became of it: see db/migrations/0003_ledger.sql. */
export const ledgerTable = pgTable(
  'ledger',
  {
    id: bigint('id', { mode: 'bigint' }).generatedAlwaysAsIdentity().primaryKey(),
    topic: text('topic').notNull(),
    partition: integer('partition').notNull(),
    firstOffset: bigint('first_offset', { mode: 'bigint' }).notNull(),
    lastOffset: bigint('last_offset', { mode: 'bigint' }).notNull(),
    read: integer('read').notNull(),
    inserted: integer('inserted').notNull(),
    duplicate: integer('duplicate').notNull(),
    dead: integer('dead').notNull(),
    unknownFields: integer('unknown_fields').notNull(),
    writtenBy: text('written_by').notNull(),
    writtenAt: timestamp('written_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    index('ledger_topic_partition_first_offset').on(table.topic, table.partition, table.firstOffset),
    check('ledger_adds_up', sql`read = inserted + duplicate + dead`),
  ],
);
