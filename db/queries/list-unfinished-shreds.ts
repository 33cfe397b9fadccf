import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** An order that has not been carried out to its end. Without its user's id. */
export interface UnfinishedShred extends Record<string, unknown> {
  readonly id: string;
  readonly scope: 'day' | 'user' | 'token_epoch';
  readonly day: Day | null;
  readonly ticket: string;
}

/** Few rows: the table is read whole. */
export function listUnfinishedShreds(): SQL<UnfinishedShred> {
  return sql`select id, scope, to_char(day, 'YYYY-MM-DD') as day, ticket
    from shreds where finished_at is null order by id`;
}
