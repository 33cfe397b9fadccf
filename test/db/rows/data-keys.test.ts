import { describe, expect, test } from 'vitest';
import { DataKeys, type KeyStore } from '../../../db/rows/data-keys.ts';
import { FieldSealer, openField } from '../../../shared/crypto/field.ts';
import { newKeyPair, openSealed } from '../../../shared/crypto/sealed-box.ts';
import { addDays, dayOf, type Day } from '../../../shared/time.ts';

const today = '2026-11-24';
const noon = Date.parse(`${today}T12:00:00Z`);
const eventId = '0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9';
const hour = 3_600_000;

function setUp(days: Day[] = [today]) {
  const pairs = new Map(days.map((day) => [day, newKeyPair()]));
  const stored: { day: Day; sealedDek: Buffer }[] = [];
  const shredded = new Set<Day>();
  let looks = 0;
  let duringStore = () => {};
  let storeFails = false;
  let now = noon;
  const store: KeyStore = {
    dayKey: async (day) => {
      looks += 1;
      const pair = pairs.get(day);
      return pair === undefined ? undefined : { publicKey: pair.publicKey, destroyed: shredded.has(day) };
    },
    insertDataKey: async (day, sealedDek) => {
      if (storeFails) throw new Error('down');
      duringStore();
      return BigInt(stored.push({ day, sealedDek }));
    },
  };
  return {
    keys: new DataKeys({ store, table: 'user_logins', clock: () => now, maxSeals: 3 }),
    shredded,
    looks: () => looks,
    /** What happens while a data key is being stored. */
    delayStore: (work: () => void) => {
      duringStore = work;
    },
    stored,
    pairs,
    failStore: (fails: boolean) => {
      storeFails = fails;
    },
    advance: (ms: number) => {
      now += ms;
    },
  };
}

async function sealerFor(keys: DataKeys, day: Day): Promise<FieldSealer> {
  const sealer = await keys.sealerFor(day);
  if (!(sealer instanceof FieldSealer)) throw new Error(`refused: ${sealer}`);
  return sealer;
}

describe('DataKeys', () => {
  test("a data key opens with the day's private key and opens what it sealed", async () => {
    const { keys, stored, pairs } = setUp();
    const sealer = await sealerFor(keys, today);
    const sealed = sealer.seal('ip_sealed', eventId, '203.0.113.9');
    const pair = pairs.get(today);
    const dek = pair === undefined ? undefined : openSealed(stored[0]?.sealedDek ?? Buffer.alloc(0), pair);
    const cell = { table: 'user_logins', column: 'ip_sealed', day: today, eventId };
    expect(openField(sealed, cell, dek ?? Buffer.alloc(32))).toBe('203.0.113.9');
    expect(sealer.dekId).toBe(1n);
  });

  test('one key a day and process, for an hour', async () => {
    const { keys, stored, advance } = setUp([today, addDays(today, 1)]);
    const first = await sealerFor(keys, today);
    advance(hour - 1);
    expect(await keys.sealerFor(today)).toBe(first);
    await keys.sealerFor(addDays(today, 1));
    advance(1);
    expect(await keys.sealerFor(today)).not.toBe(first);
    expect(stored.map(({ day }) => day)).toEqual([today, addDays(today, 1), today]);
  });

  test('a clock set back does not make a key live longer', async () => {
    const { keys, advance } = setUp();
    const first = await sealerFor(keys, today);
    advance(-1);
    expect(await keys.sealerFor(today)).not.toBe(first);
  });

  test('a data key that is not durable is never used', async () => {
    const { keys, stored, failStore } = setUp();
    failStore(true);
    await expect(keys.sealerFor(today)).rejects.toThrow('down');
    failStore(false);
    await keys.sealerFor(today);
    expect(stored).toHaveLength(1);
  });

  test("a day without a key waits inside the horizon, never taking another day's key, and is dead outside it", async () => {
    const { keys, stored } = setUp();
    await expect(keys.sealerFor(addDays(today, 1))).rejects.toMatchObject({ code: 'KEY_MISSING' });
    await expect(keys.sealerFor(addDays(today, -14))).rejects.toMatchObject({ code: 'KEY_MISSING' });
    expect(await keys.sealerFor(addDays(today, -15))).toBe('PARTITION_ARCHIVED');
    await expect(keys.sealerFor(addDays(today, 7))).rejects.toMatchObject({ code: 'KEY_MISSING' });
    expect(await keys.sealerFor(addDays(today, 8))).toBe('DAY_OUT_OF_RANGE');
    expect(stored).toHaveLength(0);
  });

  test('nobody need ask: a key is wiped at its hour, when its clock is set back, or after so many seals', async () => {
    for (const end of ['hour', 'clock', 'seals'] as const) {
      const { keys, advance } = setUp();
      const sealer = await sealerFor(keys, today);
      advance(hour - 1);
      keys.retireExpired();
      expect(sealer.retired).toBe(false);
      if (end === 'hour') advance(1);
      if (end === 'clock') advance(-1);
      if (end === 'seals') for (let i = 0; i < 3; i++) sealer.seal('ip_sealed', eventId, 'x');
      keys.retireExpired();
      expect(sealer.retired).toBe(true);
      expect(() => sealer.seal('ip_sealed', eventId, 'x')).toThrow('retired');
    }
  });

  test('its hour begins when it is made, however long the database takes to store it', async () => {
    const { keys, advance, delayStore } = setUp();
    delayStore(() => advance(hour));
    expect((await sealerFor(keys, today)).retired).toBe(true);
    delayStore(() => {});
    expect((await sealerFor(keys, today)).retired).toBe(false);
  });

  test('asked for by several at once, a day gets one key', async () => {
    const { keys, stored } = setUp();
    const sealers = await Promise.all([1, 2, 3].map(() => keys.sealerFor(today)));
    expect(new Set(sealers).size).toBe(1);
    expect(stored).toHaveLength(1);
  });

  test('a day that is shredded is sealed to no more within a minute, asked for or not', async () => {
    for (const asked of [true, false]) {
      const { keys, shredded, advance } = setUp();
      const sealer = await sealerFor(keys, today);
      shredded.add(today);
      advance(60_000);
      if (asked) await keys.sealerFor(today);
      else await keys.recheck();
      expect(sealer.retired).toBe(true);
      expect(await keys.sealerFor(today)).toBe('DAY_SHREDDED');
    }
  });

  test('a day is looked up once a minute, and keeps its key', async () => {
    const { keys, looks, advance } = setUp();
    const sealer = await sealerFor(keys, today);
    advance(59_999);
    expect(await keys.sealerFor(today)).toBe(sealer);
    expect(looks()).toBe(1);
    advance(1);
    expect(await keys.sealerFor(today)).toBe(sealer);
    await keys.recheck();
    expect(looks()).toBe(2);
  });

  test('once all are wiped there are no more', async () => {
    const { keys } = setUp();
    const sealer = await sealerFor(keys, today);
    keys.retireAll();
    expect(sealer.retired).toBe(true);
    await expect(keys.sealerFor(today)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('a key that is being made when all are wiped is wiped too', async () => {
    const { keys, delayStore } = setUp();
    delayStore(() => keys.retireAll());
    expect((await sealerFor(keys, today)).retired).toBe(true);
  });

  test('an older day that still has its key is written', async () => {
    const old = addDays(dayOf(noon), -40);
    const { keys } = setUp([old]);
    expect((await sealerFor(keys, old)).day).toBe(old);
  });
});
