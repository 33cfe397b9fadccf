import { sql, type SQL } from 'drizzle-orm';

/** Limits of this session's statements from now on; undefined: those it was opened with. */
export function setTimeouts(
  limits: { readonly lockMs: number; readonly statementMs: number } | undefined,
): SQL {
  if (limits === undefined) {
    return sql`select set_config(name, reset_val, false) from pg_settings where name in ('lock_timeout', 'statement_timeout')`;
  }
  return sql`select set_config('lock_timeout', ${String(limits.lockMs)}, false),
    set_config('statement_timeout', ${String(limits.statementMs)}, false)`;
}
