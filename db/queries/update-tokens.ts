import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

/** The tokens of one field, row by row. */
export interface FieldTokens {
  /** What must still be there: null where the field was erased. */
  readonly old: readonly (string | null)[];
  readonly masked: readonly (string | null)[];
  readonly prior: readonly (string | null)[];
}

/**
 * Replaces the tokens of rows of a day, all fields of the stream in its order. **A row whose tokens have changed since they were read
 * stays as it is**: erased in between means erased. The command tag says how many were replaced. By the primary key.
 */
export function updateTokens<M>(
  stream: Stream<M>,
  day: Day,
  eventIds: readonly string[],
  fields: readonly FieldTokens[],
): SQL {
  const names = (prefix: string) => fields.map((_, i) => sql.identifier(`${prefix}_${i}`));
  const list = (parts: readonly SQL[], by = sql`, `) => sql.join([...parts], by);
  const sets = stream.personalFields.map(
    ({ maskedColumn, priorColumn }, i) =>
      sql`${sql.identifier(maskedColumn)} = input.${sql.identifier(`masked_${i}`)},
        ${sql.identifier(priorColumn)} = input.${sql.identifier(`prior_${i}`)}`,
  );
  const unchanged = stream.personalFields.map(
    ({ maskedColumn }, i) =>
      sql`event.${sql.identifier(maskedColumn)} is not distinct from input.${sql.identifier(`old_${i}`)}`,
  );
  const arrays = [
    sql`${sql.param(eventIds)}::uuid[]`,
    ...(['old', 'masked', 'prior'] as const).flatMap((kind) =>
      fields.map((field) => sql`${sql.param(field[kind])}::text[]`),
    ),
  ];
  const columns = [...names('old'), ...names('masked'), ...names('prior')].map((name) => sql`${name}`);
  return sql`update ${sql.identifier(stream.name)} event set ${list(sets)}
    from unnest(${list(arrays)}) as input (event_id, ${list(columns)})
    where event.create_date = ${day} and event.event_id = any(${sql.param(eventIds)}::uuid[])
      and event.event_id = input.event_id and ${list(unchanged, sql` and `)}`;
}
