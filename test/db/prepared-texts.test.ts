import { sql, type SQL } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import { describe, expect, test, vi } from 'vitest';
import { PreparedTexts } from '../../db/prepared-texts.ts';

const dialect = new PgDialect();

function asDrizzleHasIt(name: string, statement: SQL) {
  const { sql: text, params: values } = dialect.sqlToQuery(statement);
  return { name, text, values };
}

const insert = (id: number, name: string | null, table = 'login') =>
  sql`with x as (${sql`select ${id}::integer`}) insert into ${sql.identifier(table)} values (${sql.join(
    [sql.param(Buffer.from([id])), sql`${name}::text`, sql.param(BigInt(id)), sql.param(null)],
    sql`, `,
  )}, ${sql.raw('now()')})`;

describe('PreparedTexts', () => {
  test('text and values are those of Drizzle, the first time and later', () => {
    const texts = new PreparedTexts();
    for (const statement of [insert(1, 'a'), insert(2, null), insert(3, 'c')])
      expect(texts.statementOf('insert', statement)).toEqual(asDrizzleHasIt('insert', statement));
  });

  test('the text is made once a name', () => {
    const texts = new PreparedTexts();
    const compiling = vi.spyOn(PgDialect.prototype, 'sqlToQuery');
    try {
      for (let i = 0; i < 5; i++) texts.statementOf('insert', insert(i, 'a'));
      for (let i = 0; i < 5; i++) texts.statementOf('insert_other', insert(i, 'a', 'other'));
      expect(compiling).toHaveBeenCalledTimes(2);
    } finally {
      compiling.mockRestore();
    }
  });

  test.each([
    ['another table', insert(1, 'a', 'other')],
    [
      'a text where a name was',
      sql`with x as (${sql`select ${1}::integer`}) insert into ${sql.raw('login')} values (${sql.join(
        [sql.param(Buffer.from([1])), sql`${'a'}::text`, sql.param(1n), sql.param(null)],
        sql`, `,
      )}, ${sql.raw('now()')})`,
    ],
    ['a value less', sql`with x as (${1}::integer) insert into login`],
    ['a value where a text was', sql`with x as (select 1::integer) insert into ${'login'}`],
    ['a list, which Drizzle puts in parentheses', sql`delete from login where id in ${[1, 2]}`],
    ['a date', sql`select ${new Date(0)}`],
    ['a value that is SQL itself', sql`select ${sql.param(1, { mapToDriverValue: () => sql`now()` })}`],
    ['nothing at all', sql`select ${undefined}`],
  ])('%s under the same name is another text, which the driver refuses', (_what, statement) => {
    const texts = new PreparedTexts();
    texts.statementOf('insert', insert(1, 'a'));
    for (let i = 0; i < 2; i++)
      expect(texts.statementOf('insert', statement)).toEqual(asDrizzleHasIt('insert', statement));
  });
});
