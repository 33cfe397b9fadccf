import { sql, type SQL } from 'drizzle-orm';

export interface TokenEpoch extends Record<string, unknown> {
  readonly epoch: number;
  readonly state: 'current' | 'prior' | 'retired';
}

/** Every epoch of the token pepper, oldest first. A handful of rows. */
export function listTokenEpochs(): SQL<TokenEpoch> {
  return sql`select epoch, state from token_epochs order by epoch`;
}

/** The same with their times, `YYYY-MM-DDTHH:MM:SSZ`. */
export function listTokenEpochTimes(): SQL<
  TokenEpoch & { readonly began_at: string; readonly retired_at: string | null }
> {
  return sql`select epoch, state, to_char(began_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as began_at,
      to_char(retired_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as retired_at
    from token_epochs order by epoch`;
}
