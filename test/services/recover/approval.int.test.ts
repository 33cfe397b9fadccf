import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { openDatabase, type Database } from '../../../db/client.ts';
import { listRecoveryRequests } from '../../../db/queries/list-recovery-requests.ts';
import { approveRequest, requestApproval, useApproval } from '../../../services/recover/approval.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';

const purpose = { reason: 'asked for', ticket: 'T-1' };
const subject = 'user:u 2026-11-01..2026-11-24';

let database: TestDatabase;
let admin: Database;
let recoverer: Database;
let approver: Database;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  recoverer = database.open('recoverer');
  approver = database.open('approver');
});
afterEach(() => database[Symbol.asyncDispose]());

async function log(): Promise<string[]> {
  const { rows } = await admin.execute<{ line: string }>(
    sql`select concat_ws('|', actor, action, reason, ticket, subject) as line from access_log order by id`,
  );
  return rows.map(({ line }) => line);
}

const ask = () => requestApproval(recoverer, subject, purpose);
const missing = (why: string) => ({ code: 'APPROVAL_MISSING', detail: expect.stringContaining(why) });

/** Two logins that may both recover and approve, as two people of one team have them. */
async function twoPeople(work: (one: Database, other: Database) => Promise<void>): Promise<void> {
  const names = [0, 1].map((i) => `person_${i}_${randomBytes(6).toString('hex')}`);
  const pools = names.map((name) => {
    const url = new URL(database.urls.admin);
    url.username = name;
    url.password = 'test';
    return openDatabase(url.href, { applicationName: 'test-person', max: 1, statementTimeoutMs: 10_000 });
  });
  const [one, other] = pools;
  if (one === undefined || other === undefined) throw new Error('no pools');
  try {
    for (const name of names) {
      await admin.execute(
        sql.raw(`create role ${name} login password 'test' in role sluice_recoverer, sluice_approver`),
      );
    }
    await work(one, other);
  } finally {
    await Promise.all(pools.map((pool) => pool[Symbol.asyncDispose]()));
    for (const name of names) await admin.execute(sql.raw(`drop role if exists ${name}`));
  }
}

test('asked for by one, approved by another, used once; each step in the access log', async () => {
  const id = await ask();
  const approved = await approveRequest(approver, id);
  expect(approved).toMatchObject({ state: 'approved', approved_by: 'sluice_approver', subject });
  await useApproval(recoverer, id, subject, purpose);
  expect(await log()).toEqual([
    `sluice_recoverer|request|asked for|T-1|request:${id} ${subject}`,
    `sluice_approver|approve|asked for|T-1|request:${id} ${subject}`,
    `sluice_recoverer|recover|asked for|T-1|request:${id} ${subject}`,
  ]);
  await expect(useApproval(recoverer, id, subject, purpose)).rejects.toMatchObject(missing('was used on 20'));
  expect(await log()).toHaveLength(3);
});

describe('not used', () => {
  test('before it is approved', async () => {
    const id = await ask();
    await expect(useApproval(recoverer, id, subject, purpose)).rejects.toMatchObject(
      missing('waits for approval'),
    );
  });

  test.for([
    ['for another subject', 'user:v 2026-11-01..2026-11-24', purpose, 'for something else'],
    ['for a wider range', 'user:u 2026-10-01..2026-11-24', purpose, 'for something else'],
    ['for another reason', subject, { ...purpose, reason: 'curious' }, 'another --reason'],
    ['for another ticket', subject, { ...purpose, ticket: 'T-2' }, 'another --reason or --ticket'],
  ] as const)('%s', async ([, about, why, said]) => {
    const id = await ask();
    await approveRequest(approver, id);
    await expect(useApproval(recoverer, id, about, why)).rejects.toMatchObject(missing(said));
    // And is not used up by the attempt.
    await useApproval(recoverer, id, subject, purpose);
  });

  test('when it has expired, approved or not', async () => {
    const [early, late] = [await ask(), await ask()];
    await approveRequest(approver, early);
    await admin.execute(sql`update recovery_requests set expires_at = now() - interval '1 second'`);
    await expect(useApproval(recoverer, early, subject, purpose)).rejects.toMatchObject(
      missing('has expired'),
    );
    await expect(approveRequest(approver, late)).rejects.toMatchObject(missing('has expired'));
  });

  test('when there is none of that number', async () => {
    await expect(useApproval(recoverer, '77', subject, purpose)).rejects.toMatchObject(
      missing('does not exist'),
    );
    await expect(approveRequest(approver, '77')).rejects.toMatchObject(missing('does not exist'));
  });

  test('twice by two at once', async () => {
    const id = await ask();
    await approveRequest(approver, id);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => useApproval(recoverer, id, subject, purpose)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await log()).toHaveLength(3);
  });
});

test('nobody approves what they asked for, nor uses what another asked for', async () => {
  await twoPeople(async (one, other) => {
    const id = await requestApproval(one, subject, purpose);
    await expect(approveRequest(one, id)).rejects.toMatchObject(missing('your own'));
    await approveRequest(other, id);
    await expect(approveRequest(other, id)).rejects.toMatchObject(missing('approved already, by person_1_'));
    await expect(useApproval(other, id, subject, purpose)).rejects.toMatchObject(missing('person_0_'));
    await useApproval(one, id, subject, purpose);
    await expect(approveRequest(other, id)).rejects.toMatchObject(missing('has been used'));
  });
});

describe('rights', () => {
  test('who asks cannot approve, change a request, or claim to be another', async () => {
    const id = await ask();
    await expect(approveRequest(recoverer, id)).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
    for (const statement of [
      sql`update recovery_requests set approved_by = 'boss', approved_at = now()`,
      sql`insert into recovery_requests (subject, reason, ticket, requested_by) values ('s', 'r', 't', 'boss')`,
      sql`insert into recovery_requests (subject, reason, ticket, approved_by, approved_at) values ('s', 'r', 't', 'b', now())`,
      sql`insert into recovery_requests (subject, reason, ticket, expires_at) values ('s', 'r', 't', 'infinity')`,
      sql`delete from recovery_requests`,
    ]) {
      await expect(recoverer.execute(statement)).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
    }
  });

  test('who approves can neither ask nor use nor open', async () => {
    const id = await ask();
    await approveRequest(approver, id);
    await expect(requestApproval(approver, subject, purpose)).rejects.toMatchObject({
      code: 'DATABASE_FORBIDDEN',
    });
    await expect(useApproval(approver, id, subject, purpose)).rejects.toMatchObject({
      code: 'DATABASE_FORBIDDEN',
    });
    for (const table of ['user_logins', 'data_keys', 'day_keys']) {
      await expect(approver.execute(sql.raw(`select * from ${table}`))).rejects.toMatchObject({
        code: 'DATABASE_FORBIDDEN',
      });
    }
  });

  test('requests are seen by who asks, approves and operates, the newest first', async () => {
    const ids = [await ask(), await ask()];
    for (const who of [recoverer, approver, database.open('operator')]) {
      const { rows } = await who.execute(listRecoveryRequests({ limit: 10 }));
      expect(rows.map(({ id, state }) => [id, state])).toEqual(ids.toReversed().map((id) => [id, 'waiting']));
    }
  });
});
