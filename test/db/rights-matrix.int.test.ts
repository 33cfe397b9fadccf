import { sql, type SQL } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { PipelineError } from '../../shared/errors.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';

const roles = [
  'writer',
  'recoverer',
  'operator',
  'analyst',
  'shredder',
  'tokenizer',
  'approver',
  'monitor',
  'replayer',
] as const;
type Role = (typeof roles)[number];

/** `*`: every column. */
type Columns = readonly string[] | '*';
interface Rights {
  readonly select?: Columns;
  readonly insert?: Columns;
  readonly update?: Columns;
}

const masked = ['masked_ip', 'masked_device_id', 'masked_ip_prior', 'masked_device_id_prior'];
const clear = [
  'create_date',
  'event_id',
  'sent_at',
  'user_id',
  'device_type',
  'locale',
  'app_version',
  'app_version_text',
  'dek_id',
  'ingested_at',
  ...masked,
];
const log: Rights = { select: '*', insert: '*' };

/** All that each role may do, table by table. What is not here it may not; a table that is not here nobody may touch. */
const rights: Readonly<Record<Role, Readonly<Record<string, Rights>>>> = {
  writer: {
    user_logins: { insert: '*' },
    ledger: { insert: '*' },
    data_keys: { insert: '*', select: ['dek_id'] },
    day_keys: { select: ['day', 'public_key', 'destroyed_at'] },
    token_epochs: { select: '*' },
    archives: { select: ['table_name', 'day', 'state'] },
  },
  recoverer: {
    user_logins: { select: '*' },
    day_keys: { select: '*' },
    data_keys: { select: '*' },
    access_log: log,
    archives: { select: '*' },
    shreds: { select: '*' },
    token_epochs: { select: '*' },
    recovery_requests: { select: '*', insert: ['subject', 'reason', 'ticket'] },
  },
  operator: {
    user_logins: { select: clear },
    user_logins_masked: { select: '*' },
    ledger: { select: '*' },
    day_keys: { select: '*' },
    data_keys: { select: ['dek_id', 'day', 'created_at'] },
    access_log: { select: '*' },
    archives: { select: '*' },
    shreds: { select: '*' },
    token_epochs: { select: '*' },
    recovery_requests: { select: '*' },
    shadows: { select: '*' },
    shadow_swaps: { select: '*' },
    replay_jobs: { select: '*' },
    replay_ledger: { select: '*' },
    replay_workers: { select: '*' },
  },
  analyst: {
    user_logins: { select: clear },
    user_logins_masked: { select: '*' },
    token_epochs: { select: '*' },
  },
  shredder: {
    user_logins: {
      select: ['create_date', 'event_id', 'sent_at', 'user_id', 'dek_id', ...masked],
      update: ['ip_sealed', 'device_id_sealed', ...masked],
    },
    day_keys: { select: '*', update: ['destroyed_at'] },
    data_keys: { select: ['dek_id', 'day', 'created_at'] },
    shreds: {
      select: '*',
      insert: ['scope', 'day', 'user_id', 'token_epoch', 'reason', 'ticket'],
      update: ['finished_at', 'proof'],
    },
    access_log: log,
    archives: { select: '*', update: ['manifest_sha256', 'bytes', 'tokens_cleared_at'] },
    token_epochs: { select: '*' },
  },
  tokenizer: {
    user_logins: { select: '*', update: masked },
    day_keys: { select: '*' },
    data_keys: { select: '*' },
    access_log: log,
    archives: { select: '*' },
    token_epochs: { select: '*' },
  },
  approver: {
    recovery_requests: { select: '*' },
    access_log: log,
  },
  monitor: {
    user_logins: { select: ['create_date', 'sent_at', 'ingested_at'] },
    ledger: { select: '*' },
    day_keys: { select: ['day', 'created_at', 'destroyed_at'] },
    archives: { select: ['table_name', 'day', 'state', 'archived_at'] },
    shreds: { select: ['id', 'scope', 'day', 'ordered_at', 'finished_at'] },
    token_epochs: { select: ['epoch', 'state'] },
  },
  replayer: {
    user_logins: { select: clear, insert: '*' },
    data_keys: { insert: '*', select: ['dek_id'] },
    day_keys: { select: ['day', 'public_key', 'destroyed_at'] },
    token_epochs: { select: '*' },
    archives: { select: ['table_name', 'day', 'state'] },
    replay_jobs: { select: '*', insert: '*', update: ['state', 'changed_at', 'report'] },
    replay_ledger: { select: '*', insert: '*' },
    replay_workers: { select: '*', insert: '*', update: ['seen_at', 'per_second', 'held_by'] },
  },
};

interface Column extends Record<string, unknown> {
  readonly table: string;
  readonly column: string;
  readonly view: boolean;
}

let database: TestDatabase;
let columns: Column[];
let as: Record<Role, Database>;
beforeAll(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  const open = (role: Role) => database.open(role, { max: 1 });
  as = {
    writer: open('writer'),
    recoverer: open('recoverer'),
    operator: open('operator'),
    analyst: open('analyst'),
    shredder: open('shredder'),
    tokenizer: open('tokenizer'),
    approver: open('approver'),
    monitor: open('monitor'),
    replayer: open('replayer'),
  };
  const { rows } = await database.open('admin').execute<Column>(sql`
    select relname as "table", attname as "column", relkind = 'v' as view
    from pg_class join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v') and attnum > 0 and not attisdropped
    order by relname, attnum`);
  columns = rows;
});
afterAll(() => database[Symbol.asyncDispose]());

const statements: Readonly<Record<keyof Rights, (of: Column) => SQL>> = {
  select: ({ table, column }) => sql`select ${sql.identifier(column)} from ${sql.identifier(table)} limit 0`,
  insert: ({ table, column }) =>
    sql`insert into ${sql.identifier(table)} (${sql.identifier(column)}) overriding user value select null where false`,
  update: ({ table, column }) =>
    sql`update ${sql.identifier(table)} set ${sql.identifier(column)} = default where false`,
};

/** Whether the server lets it: only a refusal for want of a right counts as no. */
async function may(role: Role, statement: SQL): Promise<boolean> {
  try {
    await as[role].execute(statement);
    return true;
  } catch (error) {
    const state = error instanceof PipelineError ? error.detail : undefined;
    if (state === 'SQLSTATE 42501') return false;
    throw error;
  }
}

function expected(role: Role, right: keyof Rights, { table, column }: Column): boolean {
  const given = rights[role][table]?.[right];
  return given === '*' || given?.includes(column) === true;
}

describe.each(roles)('%s', (role) => {
  test.for(['select', 'insert', 'update'] as const)(
    '%s, column by column, as the table says',
    async (right) => {
      const wrong: string[] = [];
      for (const one of columns) {
        // A view of a join cannot be written to by anybody.
        if (one.view && right !== 'select') continue;
        const allowed = await may(role, statements[right](one));
        if (allowed !== expected(role, right, one)) {
          wrong.push(`${allowed ? 'may' : 'may not'} ${right} ${one.table}.${one.column}`);
        }
      }
      expect(wrong).toEqual([]);
      expect(columns.length).toBeGreaterThan(80);
    },
  );

  test('deletes, truncates, locks nothing', async () => {
    const tables = [...new Set(columns.filter(({ view }) => !view).map(({ table }) => table))];
    const allowed: string[] = [];
    for (const table of tables) {
      for (const statement of [
        sql`delete from ${sql.identifier(table)} where false`,
        sql`truncate ${sql.identifier(table)}`,
        sql`lock table ${sql.identifier(table)} in exclusive mode`,
      ]) {
        const done = await as[role]
          .transaction((session) => session.execute(statement))
          .then(
            () => true,
            (error: unknown) => !(error instanceof PipelineError && error.detail === 'SQLSTATE 42501'),
          );
        if (done) allowed.push(table);
      }
    }
    expect(allowed).toEqual([]);
  });
});

test('every right named here is of a column that exists', () => {
  const known = new Set(columns.map(({ table, column }) => `${table}.${column}`));
  const named = Object.values(rights)
    .flatMap((tables) => Object.entries(tables))
    .flatMap(([table, given]) => Object.values(given).map((list: Columns) => ({ table, list })))
    .flatMap(({ table, list }) => (list === '*' ? [] : list.map((column) => `${table}.${column}`)));
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
