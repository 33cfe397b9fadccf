import { createHash } from 'node:crypto';
import { sql, type SQL } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let admin: Database;
let recoverer: Database;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  recoverer = database.open('recoverer');
});
afterEach(() => database[Symbol.asyncDispose]());

type Entry = {
  id: string;
  at_us: string;
  actor: string;
  action: string;
  reason: string;
  ticket: string;
  subject: string;
  prev_hash: Buffer;
  hash: Buffer;
};

const insert = (subject: string, reason = 'asked for'): SQL =>
  sql`insert into access_log (action, reason, ticket, subject) values ('recover', ${reason}, 'T-1', ${subject})`;

async function entries(): Promise<Entry[]> {
  const { rows } = await admin.execute<Entry>(sql`
    select id, (extract(epoch from at) * 1000000)::bigint as at_us, actor, action, reason, ticket, subject, prev_hash, hash
    from access_log order by id`);
  return rows;
}

/** The chain as the migration documents it, computed independently of the database. */
function hashOf(entry: Entry, previous: Buffer): Buffer {
  const int8 = (value: string) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(value));
    return bytes;
  };
  const field = (text: string) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(Buffer.byteLength(text));
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const hash = createHash('sha256').update(previous).update(int8(entry.id)).update(int8(entry.at_us));
  for (const text of [entry.actor, entry.action, entry.reason, entry.ticket, entry.subject])
    hash.update(field(text));
  return hash.digest();
}

function chainHolds(chain: readonly Entry[]): void {
  let previous = Buffer.alloc(32);
  for (const [i, entry] of chain.entries()) {
    expect(entry.id).toBe(String(i + 1));
    expect(entry.prev_hash.equals(previous)).toBe(true);
    expect(entry.hash.equals(hashOf(entry, previous)), `hash of entry ${entry.id}`).toBe(true);
    previous = Buffer.from(entry.hash);
  }
}

describe('an entry', () => {
  test('is numbered, signed and chained by the server', async () => {
    await recoverer.execute(insert('a', 'Grüße 🔑'));
    await recoverer.execute(insert('b'));
    const chain = await entries();
    expect(chain.map(({ actor, subject }) => [actor, subject])).toEqual([
      ['sluice_recoverer', 'a'],
      ['sluice_recoverer', 'b'],
    ]);
    chainHolds(chain);
  });

  test('takes nothing of what its author claims about id, time, name and hashes', async () => {
    await recoverer.execute(sql`insert into access_log (id, at, actor, action, reason, ticket, subject, prev_hash, hash)
      values (77, '2001-01-01', 'somebody', 'recover', 'r', 't', 's', '\\x00', '\\x00')`);
    const [entry] = await entries();
    expect(entry).toMatchObject({ id: '1', actor: 'sluice_recoverer' });
    expect(Number(entry?.at_us)).toBeGreaterThan(Date.UTC(2025, 0) * 1000);
    chainHolds(await entries());
  });

  test.for(['reason', 'ticket', 'subject', 'action'])('needs a %s', async (column) => {
    const incomplete = sql.raw(
      ['action', 'reason', 'ticket', 'subject'].filter((one) => one !== column).join(', '),
    );
    await expect(
      recoverer.execute(sql`insert into access_log (${incomplete}) values ('x', 'y', 'z')`),
    ).rejects.toMatchObject({ code: 'DATABASE_REJECTED', detail: 'SQLSTATE 23502' });
  });
});

test('the numbers have no hole, whatever rolls back and however many write at once', async () => {
  await recoverer
    .transaction(async (session) => {
      await session.execute(insert('rolled back'));
      throw new RangeError('mine');
    })
    .catch(() => undefined);
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      recoverer.transaction(async (session) => {
        await session.execute(insert(`${i}`));
        await session.execute(insert(`${i} again`));
      }),
    ),
  );
  await recoverer.execute(sql`insert into access_log (action, reason, ticket, subject)
    select 'recover', 'r', 't', n::text from generate_series(1, 5) n`);
  const chain = await entries();
  expect(chain).toHaveLength(45);
  chainHolds(chain);
});

test('an isolation that would not see the entry before is refused', async () => {
  const serializable = recoverer.transaction(async (session) => {
    await session.execute(sql`set transaction isolation level repeatable read`);
    await session.execute(insert('a'));
  });
  await expect(serializable).rejects.toMatchObject({ detail: 'SQLSTATE 25000' });
  expect(await entries()).toEqual([]);
});

test('a search path of the author does not reach into the trigger', async () => {
  await recoverer.transaction(async (session) => {
    await session.execute(sql`set local search_path = pg_temp, public`);
    await session.execute(insert('a'));
  });
  const chain = await entries();
  expect(chain).toHaveLength(1);
  chainHolds(chain);
});

describe('not even the owner', () => {
  test.for([
    ['changes', sql`update access_log set reason = 'another'`],
    ['deletes', sql`delete from access_log`],
    ['empties', sql`truncate access_log`],
  ] as const)('%s it by a plain statement', async ([, statement]) => {
    await recoverer.execute(insert('a'));
    await expect(admin.execute(statement)).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
    expect(await entries()).toHaveLength(1);
  });

  test('changes an entry without its showing', async () => {
    for (const subject of ['a', 'b', 'c']) await recoverer.execute(insert(subject));
    await admin.execute(sql`alter table access_log disable trigger access_log_append_only`);
    await admin.execute(sql`update access_log set subject = 'x' where id = 2`);
    const altered = await entries();
    expect(() => chainHolds(altered)).toThrow(/hash of entry 2/);
  });
});
