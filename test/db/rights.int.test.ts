import { sql, type SQL } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { maintainDays } from '../../services/maintenance/maintain.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';
import { FakeVault } from '../helpers/fake-vault.ts';

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

let database: TestDatabase;
let as: Record<Role | 'admin', Database>;

beforeAll(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  as = {
    admin: database.open('admin'),
    writer: database.open('writer'),
    recoverer: database.open('recoverer'),
    operator: database.open('operator'),
    analyst: database.open('analyst'),
    shredder: database.open('shredder'),
    tokenizer: database.open('tokenizer'),
    approver: database.open('approver'),
    monitor: database.open('monitor'),
    replayer: database.open('replayer'),
  };
  await maintainDays({
    database: as.admin,
    keeper: new FakeVault(),
    tables: ['user_logins'],
    clock: () => Date.UTC(2026, 10, 24),
  });
  await as.writer.execute(insertLogin('11111111-1111-4111-8111-111111111111'));
  await as.writer.execute(insertDataKey);
  await as.writer.execute(insertLedger);
  await as.recoverer.execute(insertAccess);
  await as.recoverer.execute(insertRequest);
  await as.shredder.execute(insertShred);
});
afterAll(() => database[Symbol.asyncDispose]());

function insertLogin(eventId: string, table = 'user_logins', day = '2026-11-24'): SQL {
  return sql`insert into ${sql.identifier(table)} (create_date, event_id, sent_at, user_id, device_type, masked_ip,
      masked_device_id, locale, app_version, app_version_text, ip_sealed, device_id_sealed, dek_id)
    values (${day}, ${eventId}, now(), 'u', 'android', 't1:a', 't1:b', null, 2003000, '2.3.0', '\\x01', '\\x01', 1)
    on conflict do nothing`;
}
const insertDataKey = sql`insert into data_keys (day, sealed_dek, created_by) values ('2026-11-24', '\\x01', 'w') returning dek_id`;
const insertLedger = sql`insert into ledger
  (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
  values ('raw', 0, 0, 0, 1, 1, 0, 0, 0, 'w')`;
const insertAccess = sql`insert into access_log (action, reason, ticket, subject) values ('recover', 'r', 't', 's') returning id`;
const insertRequest = sql`insert into recovery_requests (subject, reason, ticket) values ('s', 'r', 't')`;
const insertShred = sql`insert into shreds (scope, user_id, reason, ticket) values ('user', 'u', 'r', 't')`;

const clear = sql.raw(
  'create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale, app_version, app_version_text, dek_id, ingested_at',
);

describe('may', () => {
  const allowed: [Role, string, SQL][] = [
    ['writer', 'insert logins, again too', insertLogin('11111111-1111-4111-8111-111111111111')],
    ['writer', 'insert a data key and learn its id', insertDataKey],
    ['writer', 'write the ledger', insertLedger],
    ['writer', 'read public keys', sql`select day, public_key from day_keys`],
    ['recoverer', 'read rows, sealed cells too', sql`select * from user_logins`],
    ['recoverer', 'read keys', sql`select * from day_keys join data_keys using (day)`],
    ['recoverer', 'write the access log and learn the id', insertAccess],
    ['recoverer', 'read the access log', sql`select * from access_log`],
    ['operator', 'read the ledger', sql`select * from ledger`],
    ['operator', 'read public keys', sql`select * from day_keys`],
    ['operator', 'read the access log', sql`select * from access_log`],
    ['operator', 'read the columns that are not sealed', sql`select ${clear} from user_logins`],
    ['operator', 'see which data keys there are', sql`select dek_id, day, created_at from data_keys`],
    ['analyst', 'read the columns that are not sealed', sql`select ${clear} from user_logins`],
    ['analyst', 'join on tokens of one epoch', sql`select * from user_logins_masked`],
    ['operator', 'see orders to shred, and where archives lie', sql`select * from shreds, archives`],
    [
      'shredder',
      'null personal fields by user and time',
      sql`update user_logins set ip_sealed = null, device_id_sealed = null, masked_ip = null, masked_device_id = null,
        masked_ip_prior = null, masked_device_id_prior = null from shreds
        where user_logins.user_id = shreds.user_id and sent_at <= ordered_at and num_nonnulls(masked_ip, masked_device_id) > 0 and false`,
    ],
    [
      'shredder',
      'mark a key as destroyed',
      sql`update day_keys set destroyed_at = now() where day = '2026-11-10'`,
    ],
    [
      'shredder',
      'order, and write the access log',
      sql`with logged as (${insertAccess}) select * from logged`,
    ],
    [
      'shredder',
      'finish an order with its proof',
      sql`update shreds set finished_at = now(), proof = '{}' where user_id = 'u' and finished_at is null`,
    ],
    [
      'shredder',
      'note that an archive was cleared',
      sql`update archives set manifest_sha256 = '\\x00', bytes = 1, tokens_cleared_at = now()`,
    ],
    [
      'tokenizer',
      'read rows and sealed data keys',
      sql`select * from user_logins join data_keys using (dek_id)`,
    ],
    [
      'tokenizer',
      'write tokens',
      sql`update user_logins set masked_ip = 't2:x', masked_ip_prior = 't1:a' where false`,
    ],
    ['tokenizer', 'write the access log', insertAccess],
    [
      'approver',
      'see requests and write the access log',
      sql`with logged as (${insertAccess}) select * from recovery_requests`,
    ],
    ['approver', 'approve', sql`select approve_recovery(1)`],
    ['monitor', 'see when rows came', sql`select ctid, create_date, sent_at, ingested_at from user_logins`],
    ['monitor', 'read the ledger', sql`select * from ledger`],
    [
      'monitor',
      'see days, archives and open orders',
      sql`select day_keys.day, state, finished_at from day_keys, archives, shreds`,
    ],
    [
      'replayer',
      'insert logins and see on which day they are new',
      sql`${insertLogin('44444444-4444-4444-8444-444444444444')} returning create_date`,
    ],
    ['replayer', 'read the columns that are not sealed', sql`select ${clear} from user_logins`],
    ['replayer', 'insert a data key and learn its id', insertDataKey],
  ];
  test.for(allowed)('%s: %s', async ([role, , statement]) => {
    await expect(as[role].execute(statement)).resolves.toBeDefined();
  });
});

const partition = 'user_logins_20261124';

/** What nobody but the administrator may do, whoever asks. */
const forbiddenToAll: [string, SQL][] = [
  ['create a table', sql`create table mine (n integer)`],
  ['create a temporary table', sql`create temporary table mine (n integer)`],
  ['create a schema', sql`create schema mine`],
  ['create a function', sql`create function mine() returns integer language sql return 1`],
  ['create a role', sql`create role mine`],
  ['alter a table', sql`alter table user_logins add column extra text`],
  ['drop a table', sql`drop table ledger`],
  ['disable a trigger', sql`alter table access_log disable trigger all`],
  [
    'replace a function',
    sql`create or replace function access_log_field(value text) returns bytea language sql return null`,
  ],
  ['truncate rows', sql`truncate user_logins`],
  ['update rows', sql`update user_logins set user_id = 'x'`],
  ['delete rows', sql`delete from user_logins`],
  ['lock rows out', sql`lock table user_logins in access exclusive mode`],
  ['read a partition directly', sql`select create_date from user_logins_20261124`],
  ['insert into a partition directly', insertLogin('22222222-2222-4222-8222-222222222222', partition)],
  ['detach a partition', sql`alter table user_logins detach partition user_logins_20261124`],
  [
    'insert a public key',
    sql`insert into day_keys (day, public_key) values ('2027-01-01', decode(repeat('00', 32), 'hex'))`,
  ],
  ['change a public key', sql`update day_keys set public_key = decode(repeat('00', 32), 'hex')`],
  ['delete a public key', sql`delete from day_keys`],
  ['change a data key', sql`update data_keys set sealed_dek = '\\x00'`],
  ['delete a data key', sql`delete from data_keys`],
  ['change the ledger', sql`update ledger set read = 0`],
  ['delete from the ledger', sql`delete from ledger`],
  ['change the access log', sql`update access_log set reason = ''`],
  ['delete from the access log', sql`delete from access_log`],
  ['empty the access log', sql`truncate access_log`],
  ['read or change migrations', sql`select * from schema_migrations`],
  ['become another role', sql`set role sluice_recoverer`],
  ['become the administrator', sql`set session authorization postgres`],
  ['read a file', sql`select pg_read_file('PG_VERSION')`],
  ['run a program', sql`copy (select 1) to program 'true'`],
  ['read password hashes', sql`select * from pg_authid`],
];

const selects: Record<Role, [string, SQL][]> = {
  replayer: [
    ['read what it sealed', sql`select ip_sealed from user_logins`],
    ['read data keys', sql`select sealed_dek from data_keys`],
    ['write the live ledger', insertLedger],
    ['change its own ledger', sql`update replay_ledger set read = 0`],
    ['change a plan', sql`update replay_jobs set plan = '{}'`],
    ['write the access log', insertAccess],
  ],
  writer: [
    ['read rows', sql`select create_date from user_logins`],
    ['count rows', sql`select count(*) from user_logins`],
    [
      'learn of a row by a conflict',
      sql`${insertLogin('11111111-1111-4111-8111-111111111111')} returning event_id`,
    ],
    [
      'overwrite by a conflict',
      sql`insert into user_logins (create_date, event_id) values ('2026-11-24', gen_random_uuid())
      on conflict (create_date, event_id) do update set user_id = 'x'`,
    ],
    ['read what it sealed', sql`select ip_sealed from user_logins`],
    ['read data keys', sql`select sealed_dek from data_keys`],
    ['read the ledger', sql`select * from ledger`],
    ['read the access log', sql`select * from access_log`],
    ['write the access log', insertAccess],
  ],
  recoverer: [
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
    ['insert data keys', insertDataKey],
    ['write the ledger', insertLedger],
    ['read the ledger', sql`select * from ledger`],
  ],
  operator: [
    ['read sealed addresses', sql`select ip_sealed from user_logins`],
    ['read sealed devices', sql`select device_id_sealed from user_logins`],
    ['read whole rows', sql`select * from user_logins`],
    ['read whole rows by another name', sql`select l from user_logins l`],
    ['read sealed data keys', sql`select sealed_dek from data_keys`],
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
    ['write the ledger', insertLedger],
    ['write the access log', insertAccess],
  ],
  analyst: [
    ['read sealed addresses', sql`select ip_sealed from user_logins`],
    ['filter by sealed devices', sql`select 1 from user_logins where device_id_sealed = '\\x01'`],
    ['read whole rows', sql`select * from user_logins`],
    ['read whole rows by another name', sql`select to_json(l) from user_logins l`],
    ['read keys', sql`select * from day_keys`],
    ['read data keys', sql`select dek_id from data_keys`],
    ['read the ledger', sql`select * from ledger`],
    ['read the access log', sql`select * from access_log`],
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
  ],
  shredder: [
    ['read sealed addresses', sql`select ip_sealed from user_logins`],
    ['look whether a cell is sealed', sql`select 1 from user_logins where device_id_sealed is not null`],
    ['learn what it nulls', sql`update user_logins set ip_sealed = null returning ip_sealed`],
    ['move a sealed cell', sql`update user_logins set device_id_sealed = ip_sealed`],
    ['read sealed data keys', sql`select sealed_dek from data_keys`],
    ['change whose row it is', sql`update user_logins set user_id = 'x'`],
    ['change when it was', sql`update user_logins set sent_at = now()`],
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
    ['undo a destroyed key', sql`update day_keys set destroyed_at = null where destroyed_at is not null`],
    ['date it back', sql`update day_keys set destroyed_at = '2020-01-01' where destroyed_at is not null`],
    [
      'date an order',
      sql`insert into shreds (scope, day, reason, ticket, ordered_at) values ('day', '2026-11-10', 'r', 't', '2020-01-01')`,
    ],
    [
      'order as another',
      sql`insert into shreds (scope, day, reason, ticket, ordered_by) values ('day', '2026-11-10', 'r', 't', 'x')`,
    ],
    [
      'begin with the proof',
      sql`insert into shreds (scope, day, reason, ticket, finished_at, proof) values ('day', '2026-11-10', 'r', 't', now(), '{}')`,
    ],
    ['change an order', sql`update shreds set ticket = 'x'`],
    ['write a proof anew', sql`update shreds set proof = '{"rowsLeft": 0}' where finished_at is not null`],
    ['delete an order', sql`delete from shreds`],
    ['call it swept', sql`update shreds set swept_at = now()`],
    ['say where an archive lies', sql`update archives set location = 'file:/tmp'`],
    ['change how far an archive has come', sql`update archives set state = 'archived'`],
    ['end a token epoch', sql`update token_epochs set state = 'retired'`],
    ['approve a recovery', sql`select approve_recovery(1)`],
    ['use an approval', sql`select use_recovery(1, 's')`],
  ],
  tokenizer: [
    ['erase a sealed cell', sql`update user_logins set ip_sealed = null`],
    ['change whose row it is', sql`update user_logins set user_id = 'x'`],
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
    ['delete a row', sql`delete from user_logins`],
    ['mark a key as destroyed', sql`update day_keys set destroyed_at = now()`],
    ['insert data keys', insertDataKey],
    ['begin a token epoch', sql`insert into token_epochs (epoch, state) values (9, 'prior')`],
    ['end a token epoch', sql`update token_epochs set state = 'retired'`],
    ['order to shred', insertShred],
    ['see whose data was shredded', sql`select * from shreds`],
    ['ask for a recovery', insertRequest],
    ['approve a recovery', sql`select approve_recovery(1)`],
    ['read the ledger', sql`select * from ledger`],
  ],
  approver: [
    ['read rows', sql`select create_date from user_logins`],
    ['read tokens', sql`select masked_ip from user_logins_masked`],
    ['read keys', sql`select * from day_keys`],
    ['read data keys', sql`select dek_id from data_keys`],
    ['ask for a recovery', insertRequest],
    ['approve by hand', sql`update recovery_requests set approved_by = 'x', approved_at = now()`],
    ['use an approval', sql`select use_recovery(1, 's')`],
    ['withdraw a request', sql`delete from recovery_requests`],
    ['order to shred', insertShred],
    ['see orders to shred', sql`select * from shreds`],
    ['see archives', sql`select * from archives`],
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
  ],
  monitor: [
    ['see whose rows they are', sql`select user_id from user_logins`],
    ['find a row by its id', sql`select 1 from user_logins where event_id = gen_random_uuid()`],
    ['read tokens', sql`select masked_ip from user_logins`],
    ['read tokens of one epoch', sql`select * from user_logins_masked`],
    ['read sealed addresses', sql`select ip_sealed from user_logins`],
    ['read whole rows', sql`select l from user_logins l`],
    ['read public keys', sql`select public_key from day_keys`],
    ['read data keys', sql`select dek_id from data_keys`],
    ['read the access log', sql`select * from access_log`],
    ['see requests for recovery', sql`select * from recovery_requests`],
    ['see whose data was shredded', sql`select user_id from shreds`],
    ['see why', sql`select reason, ticket from shreds`],
    ['see where an archive lies', sql`select location from archives`],
    ['write the ledger', insertLedger],
    ['insert rows', insertLogin('33333333-3333-4333-8333-333333333333')],
  ],
};

describe.each(roles)('%s may not', (role) => {
  // The recoverer may become itself.
  const statements = [...forbiddenToAll, ...selects[role]].filter(
    ([what]) => !(role === 'recoverer' && what === 'become another role'),
  );
  test.for(statements)('%s', async ([, statement]) => {
    const attempt = as[role].transaction((session) => session.execute(statement));
    await expect(attempt).rejects.toMatchObject({
      code: 'DATABASE_FORBIDDEN',
      detail: 'SQLSTATE 42501',
    });
  });
});

test('a partition carries no rights of its own', async () => {
  const { rows } = await as.admin.execute<{ relname: string }>(sql`
    select c.relname from pg_inherits join pg_class c on c.oid = inhrelid
    where inhparent = 'user_logins'::regclass and c.relacl is not null`);
  expect(rows).toEqual([]);
});

test('no role has an attribute that goes around rights', async () => {
  const { rows } = await as.admin.execute(sql`
    select rolname from pg_roles where rolname like 'sluice\\_%'
      and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)`);
  expect(rows).toEqual([]);
  const { rows: members } = await as.admin.execute(sql`
    select m.rolname from pg_auth_members join pg_roles m on m.oid = member where m.rolname like 'sluice\\_%'`);
  expect(members).toEqual([]);
});
