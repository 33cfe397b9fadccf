import { sql, type SQL } from 'drizzle-orm';

/** A request for a recovery and how far it has come: the first of these that holds. */
export type RequestState = 'used' | 'expired' | 'approved' | 'waiting';

export interface RecoveryRequest extends Record<string, unknown> {
  readonly id: string;
  readonly subject: string;
  readonly reason: string;
  readonly ticket: string;
  readonly requested_by: string;
  /** ISO 8601, UTC, as all times here. */
  readonly requested_at: string;
  readonly expires_at: string;
  readonly approved_by: string | null;
  readonly used_at: string | null;
  readonly state: RequestState;
  /** Whether whoever asks here is the one who asked for it. */
  readonly own: boolean;
}

/** Requests, the newest first: one by its id, or as many as `limit`. By the primary key. */
export function listRecoveryRequests(which: { id: string } | { limit: number }): SQL<RecoveryRequest> {
  return sql`select id, subject, reason, ticket, requested_by, ${iso(sql`requested_at`)} as requested_at,
      ${iso(sql`expires_at`)} as expires_at, approved_by, ${iso(sql`used_at`)} as used_at,
      case when used_at is not null then 'used' when expires_at <= now() then 'expired'
        when approved_by is not null then 'approved' else 'waiting' end as state,
      requested_by = session_user as own
    from recovery_requests
    ${'id' in which ? sql`where id = ${which.id}` : sql`order by id desc limit ${which.limit}`}`;
}

function iso(column: SQL): SQL {
  return sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
}
