import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** A data key, sealed to its day's public key. Returning dek_id takes a right to read that column alone. */
export function insertDataKey(key: {
  day: Day;
  sealedDek: Buffer;
  createdBy: string;
}): SQL<{ dek_id: string }> {
  return sql`insert into data_keys (day, sealed_dek, created_by)
    values (${key.day}, ${key.sealedDek}, ${key.createdBy}) returning dek_id`;
}
