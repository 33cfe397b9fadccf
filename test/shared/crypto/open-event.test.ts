import { describe, expect, test } from 'vitest';
import { FieldSealer } from '../../../shared/crypto/field.ts';
import { DayOpener } from '../../../shared/crypto/open-event.ts';
import { newKeyPair, randomKey, sealToPublicKey } from '../../../shared/crypto/sealed-box.ts';

const day = '2026-11-24';
const table = 'user_logins';
const cell = { column: 'ip_sealed', eventId: '0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9' };

function setUp() {
  const pair = newKeyPair();
  let asked = 0;
  const held: Buffer[] = [];
  const keys = {
    async dayPrivateKey() {
      asked += 1;
      const copy = Buffer.from(pair.privateKey);
      held.push(copy);
      return copy;
    },
  };
  /** A field under a data key of its own. */
  const sealed = (id: bigint, plain: string) => {
    const key = randomKey();
    const dataKey = { id, sealed: sealToPublicKey(key, pair.publicKey) };
    const field = new FieldSealer({ dekId: id, day, table, key }).seal(cell.column, cell.eventId, plain);
    return { dataKey, field };
  };
  const open = () => DayOpener.of(keys, { table, day, publicKey: pair.publicKey });
  return { keys, pair, sealed, open, held, asked: () => asked };
}

describe('DayOpener', () => {
  test('opens fields of many data keys, asking the vault once', async () => {
    const { sealed, open, asked } = setUp();
    using opener = await open();
    // More than are held at once, twice over.
    const fields = Array.from({ length: 600 }, (_, i) => sealed(BigInt(i), `203.0.113.${i}`));
    for (let round = 0; round < 2; round++) {
      for (const [i, { field, dataKey }] of fields.entries())
        expect(opener.open(cell, field, dataKey)).toBe(`203.0.113.${i}`);
    }
    expect(asked()).toBe(1);
  });

  test('a field in another cell does not open; a data key of another day is a defect', async () => {
    const { sealed, open } = setUp();
    using opener = await open();
    const { field, dataKey } = sealed(1n, '203.0.113.9');
    expect(opener.open({ ...cell, column: 'device_id_sealed' }, field, dataKey)).toBeUndefined();
    const foreign = setUp().sealed(2n, '203.0.113.9');
    expect(() => opener.open(cell, foreign.field, foreign.dataKey)).toThrow('data key 2');
  });

  test('disposed of, it has wiped the private key and opens nothing more', async () => {
    const { sealed, open, held } = setUp();
    const opener = await open();
    const { field, dataKey } = sealed(1n, '203.0.113.9');
    opener.open(cell, field, dataKey);
    opener[Symbol.dispose]();
    expect(held[0]?.every((byte) => byte === 0)).toBe(true);
    expect(() => opener.open(cell, field, dataKey)).toThrow('data key 1');
  });

  test('a key that is not in the vault is destroyed', async () => {
    const { pair } = setUp();
    const keys = { dayPrivateKey: async () => undefined };
    await expect(DayOpener.of(keys, { table, day, publicKey: pair.publicKey })).rejects.toMatchObject({
      code: 'KEY_DESTROYED',
    });
  });
});
