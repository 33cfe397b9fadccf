import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { shredEpoch } from '../../../services/shred/shred-epoch.ts';
import { ensureKeys } from '../../../services/maintenance/ensure-keys.ts';
import { horizonDays } from '../../../shared/time.ts';
import { Crash, CrashPoint, Custody, purpose, today } from './fixtures.ts';

let custody: Custody;
beforeEach(async () => {
  custody = await Custody.create(inject('postgresAdminUrl'));
});
afterEach(() => custody[Symbol.asyncDispose]());

/** Epochs 1 retired, 2 prior, 3 current, their peppers in the vault. */
async function rotated(): Promise<void> {
  await custody.vault.ensurePepper(2);
  await custody.vault.ensurePepper(3);
  await custody.admin.execute(sql`update token_epochs set state = 'retired', retired_at = now()`);
  await custody.admin.execute(
    sql`insert into token_epochs (epoch, state) values (2, 'prior'), (3, 'current')`,
  );
}

async function orders(): Promise<unknown[]> {
  const { rows } = await custody.admin.execute(
    sql`select scope, token_epoch, finished_at is not null as finished, proof from shreds order by id`,
  );
  return rows;
}

test('the pepper of a retired epoch is destroyed, and no other', async () => {
  await rotated();
  const report = await shredEpoch(custody.parts(), 1, purpose);
  expect(report).toMatchObject({ epoch: 1, already: false, accessId: '1', proof: { peppersLeft: 0 } });
  expect(await custody.vault.pepperEpochs()).toEqual([2, 3]);
  expect(await orders()).toEqual([
    { scope: 'token_epoch', token_epoch: 1, finished: true, proof: { peppersLeft: 0 } },
  ]);
  expect(await custody.accessLog()).toEqual([{ action: 'shred', subject: 'token-epoch:1', ...purpose }]);
});

test('and maintenance makes no other in its place', async () => {
  await rotated();
  await custody.store([{ day: today }]);
  await shredEpoch(custody.parts(), 1, purpose);
  await ensureKeys(custody.admin, custody.vault, horizonDays(today));
  expect(await custody.vault.pepperEpochs()).toEqual([2, 3]);
});

test.for([
  [2, 'token epoch 2 is prior: only a retired one can be shredded'],
  [3, 'token epoch 3 is current: only a retired one can be shredded'],
  [9, 'there is no token epoch 9'],
] as const)('epoch %i is refused', async ([epoch, refused]) => {
  await rotated();
  expect(await shredEpoch(custody.parts(), epoch, purpose)).toEqual({ refused });
  expect(await orders()).toEqual([]);
  expect(await custody.vault.pepperEpochs()).toEqual([1, 2, 3]);
});

test('a second run says when it was done; a pepper that is back is destroyed again', async () => {
  await rotated();
  const first = await shredEpoch(custody.parts(), 1, purpose);
  expect(await shredEpoch(custody.parts(), 1, purpose)).toMatchObject({
    already: true,
    ...('refused' in first ? {} : { order: first.order, finishedAt: first.finishedAt }),
  });
  expect(await custody.accessLog()).toHaveLength(1);
  await custody.vault.ensurePepper(1);
  expect(await shredEpoch(custody.parts(), 1, purpose)).toMatchObject({ already: false });
  expect(await custody.vault.pepperEpochs()).toEqual([2, 3]);
  expect(await orders()).toHaveLength(1);
});

test('a run that is cut off anywhere is finished by the next', async () => {
  await rotated();
  const whole = new CrashPoint(-1, 'before');
  await shredEpoch(whole.wrap(custody.parts()), 1, purpose);
  for (let at = 0; at < whole.calls; at++) {
    for (const when of ['before', 'after'] as const) {
      await custody.admin.execute(sql`delete from shreds`);
      await custody.vault.ensurePepper(1);
      const crash = new CrashPoint(at, when);
      await expect(shredEpoch(crash.wrap(custody.parts()), 1, purpose)).rejects.toThrow(Crash);
      const gone = !(await custody.vault.pepperEpochs()).includes(1);
      expect(gone && (await orders()).length === 0).toBe(false);
      expect(await shredEpoch(custody.parts(), 1, purpose)).toMatchObject({ proof: { peppersLeft: 0 } });
      expect(await custody.vault.pepperEpochs()).toEqual([2, 3]);
    }
  }
});
