import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql, type SQL } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import { verifyChain } from '../../../services/audit/verify.ts';
import { emptyHead, formatHead, type Head } from '../../../shared/audit/chain.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { createPipeline } from '../../helpers/pipeline.ts';

/** An entry behind the first page that verify reads, so that what it carries from page to page is tried too. */
const many = 4_500;

describe('on the database', () => {
  let database: TestDatabase;
  let admin: Database;
  let operator: Database;
  beforeEach(async () => {
    database = await createDatabase(inject('postgresAdminUrl'));
    admin = database.open('admin', { max: 1 });
    operator = database.open('operator');
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const write = (count: number) =>
    database.open('recoverer').execute(sql`insert into access_log (action, reason, ticket, subject)
      select 'recover', 'Grüße 🔑 ' || n, 'T-1', n::text from generate_series(1, ${count}::integer) n`);

  /** As the owner, with what guards the log out of the way. */
  async function tamper(...statements: SQL[]): Promise<void> {
    await admin.execute(sql`alter table access_log disable trigger all`);
    for (const statement of statements) await admin.execute(statement);
    await admin.execute(sql`alter table access_log enable trigger all`);
  }

  /** Entries from 4200 on as somebody makes them who can run the database's own function: every hash is right again. */
  const rechain = sql`do $$
    declare entry access_log; last bytea;
    begin
      select hash into last from access_log where id = 4199;
      for entry in select * from access_log where id >= 4200 order by id loop
        entry.prev_hash := last;
        last := access_log_hash(entry);
        update access_log set prev_hash = entry.prev_hash, hash = last where id = entry.id;
      end loop;
    end $$`;

  test('what the database wrote holds, by a computation of our own, with its heads', async () => {
    expect(await verifyChain(operator, [])).toMatchObject({
      entries: 0n,
      head: emptyHead,
      finding: undefined,
    });
    await write(many);
    const report = await verifyChain(operator, []);
    expect(report).toMatchObject({ entries: BigInt(many), finding: undefined });
    expect(await verifyChain(operator, [emptyHead, report.head])).toMatchObject({ finding: undefined });
    await write(1);
    expect(await verifyChain(operator, [report.head])).toMatchObject({
      entries: BigInt(many + 1),
      finding: undefined,
    });
  });

  const columns: [string, SQL][] = [
    ['actor', sql`actor = 'somebody'`],
    ['action', sql`action = 'peek'`],
    ['reason', sql`reason = reason || '.'`],
    ['ticket', sql`ticket = ''`],
    ['subject', sql`subject = '4201'`],
    ['at, by a microsecond', sql`at = at + interval '1 microsecond'`],
    ['at, out of time', sql`at = 'infinity'`],
    ['hash', sql`hash = sha256('x')`],
    ['prev_hash', sql`prev_hash = sha256('x')`],
    ['text moved between columns', sql`reason = reason || ticket, ticket = ''`],
  ];
  test.for(columns)('finds a changed %s', async ([, set]) => {
    await write(many);
    await tamper(sql`update access_log set ${set} where id = 4200`);
    expect((await verifyChain(operator, [])).finding?.id).toBe(4_200n);
  });

  test.for([
    ['removed', 4_200n, [sql`delete from access_log where id = 4200`]],
    [
      'removed, the rest renumbered',
      4_200n,
      [
        sql`delete from access_log where id = 4200`,
        sql`update access_log set id = -id where id > 4200`,
        sql`update access_log set id = -id - 1 where id < 0`,
      ],
    ],
    [
      'exchanged with another',
      4_199n,
      [
        sql`update access_log set id = case id when 4200 then -4199 else -4200 end where id in (4199, 4200)`,
        sql`update access_log set id = -id where id < 0`,
      ],
    ],
    [
      'put in',
      4_200n,
      [
        sql`update access_log set id = -id where id >= 4200`,
        sql`update access_log set id = -id + 1 where id < 0`,
        sql`insert into access_log select 4200, at, actor, action, reason, ticket, 'forged', prev_hash, hash
        from access_log where id = 4201`,
      ],
    ],
    [
      'there twice, without the primary key',
      2_000n,
      [
        sql`alter table access_log drop constraint access_log_pkey`,
        sql`insert into access_log select * from access_log where id = 2000`,
      ],
    ],
    [
      'emptied, without not null',
      4_200n,
      [
        sql`alter table access_log alter subject drop not null`,
        sql`update access_log set subject = null where id = 4200`,
      ],
    ],
    ['the first', 1n, [sql`delete from access_log where id = 1`]],
  ] as const)('finds an entry %s', async ([, id, statements]) => {
    await write(many);
    await tamper(...statements);
    expect((await verifyChain(operator, [])).finding?.id).toBe(id);
  });

  test('finds a chain made anew, and an end cut off, against a head kept from before', async () => {
    await write(many);
    const kept: Head[] = [(await verifyChain(operator, [])).head];
    await tamper(sql`update access_log set actor = 'somebody' where id = 4200`, rechain);
    expect((await verifyChain(operator, [])).finding).toBeUndefined();
    expect((await verifyChain(operator, kept)).finding).toMatchObject({ id: BigInt(many), kind: 'head' });
    await tamper(sql`delete from access_log where id > 4000`);
    expect((await verifyChain(operator, [])).finding).toBeUndefined();
    expect((await verifyChain(operator, kept)).finding).toMatchObject({ id: 4_001n, kind: 'head' });
  });
});

describe('the commands', () => {
  const servers = {
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  };

  test('maintain keeps heads, verify compares with them, list says who and why', async () => {
    await using pipeline = await createPipeline(servers);
    const { admin } = pipeline;
    const recoverer = pipeline.database.open('recoverer');
    const entry = (subject: string, reason = 'asked for') =>
      recoverer.execute(sql`insert into access_log (action, reason, ticket, subject)
        values ('recover', ${reason}, 'T-7', ${subject})`);

    // Nobody has kept a head yet: that is said, and is no success.
    const unreachable = await pipeline.run('audit', 'verify');
    expect(unreachable).toMatchObject({ code: 3, stdout: expect.stringContaining('NONE EXPORTED') });
    expect(await pipeline.run('audit', 'verify', '--no-heads')).toMatchObject({ code: 0 });

    expect((await pipeline.run('maintain')).stdout).toContain(
      `kept the head of the access log: ${formatHead(emptyHead)}`,
    );
    await entry('first', 'evil \u001b[2J reason');
    await entry('second');
    const head = (await pipeline.run('audit', 'head')).stdout.trim();
    expect(head).toMatch(/^2:[0-9a-f]{64}$/);
    expect(JSON.parse((await pipeline.run('maintain', '--json')).stdout)).toMatchObject({ accessHead: head });
    expect(JSON.parse((await pipeline.run('maintain', '--json')).stdout)).toMatchObject({ accessHead: null });
    await entry('third');
    const holds = await pipeline.run('audit', 'verify', '--json', '--head', head);
    expect(holds.code).toBe(0);
    expect(JSON.parse(holds.stdout)).toMatchObject({
      holds: true,
      entries: '3',
      headsGiven: 1,
      headsExported: 2,
    });

    const list = await pipeline.run(
      'audit',
      'list',
      '--action',
      'recover',
      '--since',
      '2026-01-01',
      '--limit',
      '2',
    );
    expect(
      list.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/).slice(-2)),
    ).toEqual([
      ['third', 'asked for'],
      ['second', 'asked for'],
    ]);
    const evil = await pipeline.run('audit', 'list', '--subject', 'irs');
    expect(evil.stdout).toContain('evil \\u001b[2J reason');
    const json = await pipeline.run(
      'audit',
      'list',
      '--actor',
      'sluice_recoverer',
      '--ticket',
      'T-7',
      '--json',
    );
    expect([...json.stdout.matchAll(/^{"id":"(\d+)"/gm)].map(([, id]) => id)).toEqual(['3', '2', '1']);
    expect((await pipeline.run('audit', 'list', '--since', '2030-01-01')).stdout).toBe('');
    expect(await pipeline.run('audit', 'list', '--since', 'yesterday')).toMatchObject({ code: 2 });
    expect(await pipeline.run('audit', 'verify', '--head', '2:abc')).toMatchObject({ code: 2 });

    // Cut below the head that was kept, and the next export does not replace it.
    await admin.execute(sql`alter table access_log disable trigger all`);
    await admin.execute(sql`delete from access_log where id > 1`);
    await admin.execute(sql`alter table access_log enable trigger all`);
    await entry('instead');
    const cut = await pipeline.run('audit', 'verify');
    expect(cut.code).toBe(1);
    expect(cut.stdout).toContain('THE ACCESS LOG WAS TAMPERED WITH: entry 2 is not what it was');
    expect((await pipeline.run('maintain')).code).toBe(0);
    expect((await pipeline.run('audit', 'verify')).code).toBe(1);
    expect((await pipeline.run('audit', 'verify', '--no-heads')).code).toBe(0);

    // A head that was made unreadable is a finding too, whatever the others say.
    const heads = join(pipeline.directory, 'archive/audit/heads');
    const names = (await readdir(heads)).sort();
    expect(names).toHaveLength(3);
    for (const name of names.slice(1)) await rm(join(heads, name));
    await writeFile(join(heads, names[0] ?? ''), 'no head');
    const damaged = await pipeline.run('audit', 'verify');
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toContain(`DAMAGED  audit/heads/${names[0] ?? ''}`);
    expect(await readFile(join(heads, names[0] ?? ''), 'utf8')).toBe('no head');
  }, 120_000);
});
