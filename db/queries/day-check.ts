import { sql, type SQL } from 'drizzle-orm';
import { addDays, type Day } from '../../shared/time.ts';

/*
 * What a partition's bounds say, as a constraint of its own: attaching then need not read the table to see it (PostgreSQL manual,
 * "alter table … attach partition"). Detaching concurrently leaves one behind as well.
 */

const dayCheck = 'day_of_partition';

export function addDayCheck(partition: string, day: Day): SQL {
  const [from, to] = [addDays(day, 0), addDays(day, 1)].map((one) => sql.raw(`'${one}'`));
  return sql`alter table ${sql.identifier(partition)} add constraint ${sql.identifier(dayCheck)}
    check (create_date is not null and create_date >= ${from ?? sql``} and create_date < ${to ?? sql``})`;
}

/** The checks of a partition that its parent has not. By pg_constraint_conrelid_contypid_conname_index. */
export function listOwnChecks(partition: string): SQL<{ name: string }> {
  return sql`select conname as name from pg_constraint
    where conrelid = ${partition}::regclass and contype = 'c' and coninhcount = 0`;
}

export function dropCheck(partition: string, name: string): SQL {
  return sql`alter table ${sql.identifier(partition)} drop constraint if exists ${sql.identifier(name)}`;
}

/** Whether a table has had {@link addDayCheck}, and it was validated. */
export function hasDayCheck(partition: string): SQL<{ there: boolean }> {
  return sql`select exists (
    select from pg_constraint
    where conrelid = ${partition}::regclass and conname = ${dayCheck} and contype = 'c' and convalidated
  ) as there`;
}

/** Its bounds say so now. */
export function dropDayCheck(partition: string): SQL {
  return dropCheck(partition, dayCheck);
}
