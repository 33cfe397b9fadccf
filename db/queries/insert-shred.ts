import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** What an order is about: one of the three. */
export type ShredTarget =
  | { readonly scope: 'day'; readonly day: Day }
  | { readonly scope: 'user'; readonly userId: string }
  | { readonly scope: 'token_epoch'; readonly epoch: number };

/** An order to shred: who and when, the database says. Nothing when the day has one already, by the unique index shreds_day. */
export function insertShred(target: ShredTarget, reason: string, ticket: string): SQL {
  const [column, value] =
    target.scope === 'day'
      ? ['day', target.day]
      : target.scope === 'user'
        ? ['user_id', target.userId]
        : ['token_epoch', target.epoch];
  return sql`insert into shreds (scope, ${sql.identifier(column)}, reason, ticket)
    values (${target.scope}, ${value}, ${reason}, ${ticket}) on conflict do nothing`;
}
