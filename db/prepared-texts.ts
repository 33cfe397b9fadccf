import { Name, Param, SQL, StringChunk } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { DirectStatement } from './direct-query.ts';

const dialect = new PgDialect();

/** In the place of a parameter, and before a name, which is quoted. No text has them. */
const [hole, quoted] = ['\u0000', '\u0001'];

/**
 * The texts of prepared statements by name, so that Drizzle does not write the same one anew for every batch: **a tenth of the CPU of a writer
 * in no hurry**. A statement is taken for a known one when all that it is made of is equal; any other, and what is made of more than texts,
 * names and values, goes through Drizzle.
 */
export class PreparedTexts {
  readonly #known = new Map<string, { readonly parts: readonly string[]; readonly text: string }>();

  /** As `dialect.sqlToQuery` has it. */
  statementOf(name: string, statement: SQL): DirectStatement {
    const parts: string[] = [];
    const values: unknown[] = [];
    const isPlain = takeApart(statement, parts, values);
    const known = this.#known.get(name);
    if (isPlain && known !== undefined && isSame(known.parts, parts))
      return { name, text: known.text, values };
    const { sql: text, params } = dialect.sqlToQuery(statement);
    if (isPlain) this.#known.set(name, { parts, text });
    return { name, text, values: params };
  }
}

/** False: there is something in it that only Drizzle knows how to write. */
function takeApart(statement: SQL, parts: string[], values: unknown[]): boolean {
  return statement.queryChunks.every((chunk) => {
    if (chunk instanceof StringChunk) return parts.push(...chunk.value) > 0;
    if (chunk instanceof SQL) return takeApart(chunk, parts, values);
    if (chunk instanceof Name) return parts.push(quoted, chunk.value) > 0;
    const value: unknown = chunk instanceof Param ? encoded(chunk) : chunk;
    parts.push(hole);
    values.push(value);
    return isValue(value);
  });
}

function encoded({ value, encoder }: Param): unknown {
  return value === null ? null : encoder.mapToDriverValue(value);
}

function isValue(value: unknown): boolean {
  return (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    Buffer.isBuffer(value)
  );
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((part, i) => part === other[i]);
}
