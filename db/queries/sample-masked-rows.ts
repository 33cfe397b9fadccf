import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** Rows as an analyst may see them: nothing sealed, tokens instead. By the primary key of one partition. */
export function sampleMaskedRows(eventIds: readonly string[], day: Day): SQL<MaskedRow> {
  return sql`select event_id, user_id, device_type, masked_ip, masked_device_id, locale, app_version
    from user_logins where create_date = ${day} and event_id = any(${sql.param(eventIds)}::uuid[])`;
}

export interface MaskedRow extends Record<string, unknown> {
  readonly event_id: string;
  readonly user_id: string;
  readonly device_type: string;
  readonly masked_ip: string;
  readonly masked_device_id: string;
  readonly locale: string | null;
  readonly app_version: number;
}
