import { sql, type SQL } from 'drizzle-orm';

/**
 * How a table is locked until the transaction ends (PostgreSQL manual, "explicit locking"): `share update exclusive` keeps off vacuum and
 * changes of its shape, `share row exclusive` inserts too, `access exclusive` everybody.
 */
export type LockMode = 'share update exclusive' | 'share row exclusive' | 'access exclusive';

/** Locks a table, and of one that is partitioned nothing but itself: its partitions are reached through it. */
export function lockTable(table: string, mode: LockMode): SQL {
  return sql`lock table only ${sql.identifier(table)} in ${sql.raw(mode)} mode`;
}

/** Limits of this transaction's statements from now on. */
export function limitTransaction(limits: { readonly lockMs: number; readonly statementMs: number }): SQL {
  return sql`select set_config('lock_timeout', ${String(limits.lockMs)}, true),
    set_config('statement_timeout', ${String(limits.statementMs)}, true)`;
}
