import { sql, type SQL } from 'drizzle-orm';

/** Token epochs with an order to destroy their pepper: when it was carried out, and under which ticket. */
export function listShreddedEpochs(): SQL<{ epoch: number; finished_at: string | null; ticket: string }> {
  return sql`select token_epoch as epoch, to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as finished_at, ticket
    from shreds where scope = 'token_epoch' order by token_epoch, id`;
}
