import { sql, type SQL } from 'drizzle-orm';

/** An order carried out, with its proof: numbers and dates, no personal data. Once: by the primary key, and not after that. */
export function finishShred(id: string, proof: Readonly<Record<string, unknown>>): SQL {
  return sql`update shreds set finished_at = now(), proof = ${JSON.stringify(proof)}::jsonb
    where id = ${id} and finished_at is null`;
}
