import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { takeInventory, type Keys } from '../../../services/keys/inventory.ts';
import { describeKeys } from '../../../services/keys/report.ts';
import { shredDay } from '../../../services/shred/shred-day.ts';
import { shredEpoch } from '../../../services/shred/shred-epoch.ts';
import { newKeyPair } from '../../../shared/crypto/sealed-box.ts';
import { addDays, type Day } from '../../../shared/time.ts';
import type { KeyInventory } from '../../../shared/vault/ports.ts';
import { Custody, purpose, retention, today } from '../shred/fixtures.ts';

const day = addDays(today, -3);

let custody: Custody;
beforeEach(async () => {
  custody = await Custody.create(inject('postgresAdminUrl'));
});
afterEach(() => custody[Symbol.asyncDispose]());

function keys(options: { day?: Day; inventory?: KeyInventory } = {}): Promise<Keys> {
  return takeInventory({
    session: custody.database.open('operator', { max: 1 }),
    inventory: custody.vault,
    table: 'user_logins',
    clock: custody.clock,
    retention,
    ...options,
  });
}

async function one(of = day) {
  const found = await keys({ day: of });
  expect(found.days).toHaveLength(1);
  const [first] = found.days;
  if (first === undefined) throw new Error('none');
  return first;
}

const destroyKeys = (of: Day) => custody.vault.destroyDayKeys(of);

describe('in order', () => {
  test('every day of the horizon, live', async () => {
    await custody.store([{ day }, { day }]);
    const found = await keys();
    expect(found).toMatchObject({ problems: 0, strays: [] });
    expect(found.days.map((row) => row.day)).toEqual(
      Array.from({ length: 22 }, (_, i) => addDays(today, i - 14)),
    );
    expect(found.days.every((row) => row.privateKey === 'day' && row.transitKey && row.rows === 'live')).toBe(
      true,
    );
    expect(found.epochs).toEqual([
      { epoch: 1, state: 'current', pepper: true, destroyedAt: null, ticket: null, problems: [] },
    ]);
    expect(await one()).toMatchObject({
      privateKey: 'day',
      unpublished: 0,
      destroyedAt: null,
      transitKeyUntil: addDays(day, 140),
      dataKeys: { count: 1, firstAt: expect.stringMatching(/^\d{4}-.*Z$/), lastAt: expect.any(String) },
    });
    expect(describeKeys(found).at(-1)).toBe('vault and database agree');
  });

  test('a shredded day', async () => {
    await custody.store([{ day }]);
    await shredDay(custody.parts(), day, purpose);
    const found = await keys();
    expect(found.problems).toBe(0);
    expect(await one()).toMatchObject({
      privateKey: 'none',
      destroyedAt: expect.any(String),
      ticket: purpose.ticket,
      transitKey: true,
      transitKeyUntil: addDays(day, 14),
      rows: 'live',
      problems: [],
    });
    expect(describeKeys(found).join('\n')).toMatch(/2026-11-21 .*destroyed \d{4}-\d\d-\d\d \(PRIV-12\)/);
  });

  test('an archived day, and one whose table is half-way there', async () => {
    await custody.archive(day);
    const table = sql`user_logins_20261122`;
    await custody.admin.execute(sql`alter table user_logins detach partition ${table}`);
    expect(await one()).toMatchObject({ privateKey: 'archive', rows: 'archived', problems: [] });
    expect(await one(addDays(day, 1))).toMatchObject({ privateKey: 'day', rows: 'half-way' });
  });

  test('a key that a run which was cut off left unpublished', async () => {
    const { publicKey, privateKey } = newKeyPair();
    await custody.vault.putDayPrivateKey(day, publicKey, privateKey);
    expect(await one()).toMatchObject({ privateKey: 'day', unpublished: 1, problems: [] });
  });

  test('a key of a day that the database has not heard of', async () => {
    const ahead = addDays(today, 100);
    await custody.vault.ensureTransitKey(ahead);
    expect(await keys()).toMatchObject({
      problems: 0,
      strays: [{ day: ahead, privateKeys: 0, transitKey: true }],
    });
  });
});

describe('not in order', () => {
  test.for<[string, (custody: Custody) => Promise<unknown>, RegExp]>([
    [
      'a key that data was sealed to is gone',
      async () => {
        await custody.store([{ day }]);
        await destroyKeys(day);
      },
      /^its private key is not in the vault and was not destroyed: what 1 data keys sealed cannot be opened$/,
    ],
    [
      'a key that will be sealed to is gone',
      () => destroyKeys(day),
      /nothing is sealed to it yet, writers will/,
    ],
    [
      'another key in its place',
      async () => {
        await destroyKeys(day);
        const { publicKey, privateKey } = newKeyPair();
        await custody.vault.putDayPrivateKey(day, publicKey, privateKey);
      },
      /^its private key is not in the vault/,
    ],
    [
      'a destroyed key is back',
      async () => {
        const backup = new Map(custody.vault.store.secrets);
        await shredDay(custody.parts(), day, purpose);
        for (const [name, value] of backup) custody.vault.store.secrets.set(name, value);
      },
      /^it was shredded, and 1 private keys of it are in the vault/,
    ],
    [
      'a key in two places',
      async () => {
        const before = new Map(custody.vault.store.secrets);
        await custody.vault.moveDayKeys(day, 'archive');
        for (const [name, value] of before) custody.vault.store.secrets.set(name, value);
      },
      /two places/,
    ],
    [
      'a live day whose key is with the archived ones',
      () => custody.vault.moveDayKeys(day, 'archive'),
      /its rows are live/,
    ],
    [
      'an archived day whose key is with the live ones',
      async () => {
        await custody.archive(day);
        await custody.vault.moveDayKeys(day, 'day');
      },
      /it is archived/,
    ],
    [
      'a transit key that is waited for',
      () => custody.vault.destroyTransitKey(day),
      /^its transit key is missing/,
    ],
    [
      'an order that was not finished',
      async () => {
        await destroyKeys(day);
        await custody.admin.execute(sql`update day_keys set destroyed_at = now() where day = ${day}`);
        await custody.admin.execute(
          sql`insert into shreds (scope, day, reason, ticket) values ('day', ${day}, 'r', 't')`,
        );
      },
      /^the order to shred it is not finished/,
    ],
    [
      'a mark without an order',
      async () => {
        await destroyKeys(day);
        await custody.admin.execute(sql`update day_keys set destroyed_at = now() where day = ${day}`);
      },
      /without an order/,
    ],
  ])('%s', async ([, prepare, problem]) => {
    await prepare(custody);
    const found = await keys();
    expect(found.problems).toBe(1);
    expect(found.days.find((row) => row.day === day)?.problems).toEqual([expect.stringMatching(problem)]);
    const lines = describeKeys(found);
    expect(lines.at(-1)).toBe('vault and database do NOT agree: 1 problem(s)');
    expect(lines.at(-2)).toMatch(/^PROBLEM 2026-11-21: /);
  });

  test('a pepper that is waited for, and one that is back', async () => {
    await custody.vault.destroyPepper(1);
    expect((await keys()).epochs).toMatchObject([
      { epoch: 1, pepper: false, problems: ['its pepper is not in the vault: writers wait for it'] },
    ]);
    await custody.vault.ensurePepper(1);
    await custody.vault.ensurePepper(2);
    await custody.admin.execute(sql`update token_epochs set state = 'retired', retired_at = now()`);
    await custody.admin.execute(sql`insert into token_epochs (epoch, state) values (2, 'current')`);
    expect(await shredEpoch(custody.parts(), 1, purpose)).toMatchObject({ proof: { peppersLeft: 0 } });
    const { epochs } = await keys();
    expect(epochs).toMatchObject([{ epoch: 1, pepper: false, ticket: purpose.ticket, problems: [] }, {}]);
    await custody.vault.ensurePepper(1);
    expect((await keys()).problems).toBe(1);
  });
});

describe('while keys move', () => {
  /** Does something between the first and the second look at the vault. */
  function meanwhile(work: () => Promise<unknown>): KeyInventory {
    let looks = 0;
    return {
      async dayKeys() {
        if (++looks === 2) await work();
        return custody.vault.dayKeys();
      },
      transitDays: () => custody.vault.transitDays(),
      pepperEpochs: () => custody.vault.pepperEpochs(),
    };
  }

  test('to the archive: in neither place twice is missing, in one of them once is not', async () => {
    const found = await keys({ inventory: meanwhile(() => custody.vault.moveDayKeys(day, 'archive')) });
    const moved = found.days.find((row) => row.day === day);
    expect(moved).toMatchObject({ privateKey: 'archive' });
  });

  test('a shred under way is no alarm', async () => {
    const found = await keys({ inventory: meanwhile(() => shredDay(custody.parts(), day, purpose)) });
    expect(found.problems).toBe(0);
  });
});
