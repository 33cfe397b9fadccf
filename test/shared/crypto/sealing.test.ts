import { createHash } from 'node:crypto';
import fc from 'fast-check';
import sodium from 'sodium-native';
import { describe, expect, test } from 'vitest';
import { dekIdOf, fieldOverheadBytes, FieldSealer, openField } from '../../../shared/crypto/field.ts';
import { newKeyPair, openSealed, randomKey, sealToPublicKey } from '../../../shared/crypto/sealed-box.ts';
import { Tokenizer } from '../../../shared/crypto/token.ts';
import { TransitSealer, transitOverheadBytes } from '../../../shared/crypto/transit.ts';

const eventId = '0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9';
const key = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const cell = { table: 'user_logins', column: 'ip_sealed', day: '2026-11-24', eventId };

/** A field sealed as the format's page says, without our code: XChaCha20-Poly1305 with the AAD spelled out. */
const knownField = {
  nonce: Buffer.from('404142434445464748494a4b4c4d4e4f5051525354555657', 'hex'),
  aad: Buffer.concat([
    Buffer.from([1, 1]),
    Buffer.from('user_logins\0ip_sealed\x002026-11-24', 'latin1'),
    Buffer.from('0b1c2d3e4f5046178293a4b5c6d7e8f9', 'hex'),
  ]),
};

function sealByHand(plain: string): Buffer {
  const ciphertext = Buffer.alloc(plain.length + 16);
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
    ciphertext,
    Buffer.from(plain),
    knownField.aad,
    null,
    knownField.nonce,
    key,
  );
  return Buffer.concat([Buffer.from('01010000000000000007', 'hex'), knownField.nonce, ciphertext]);
}

function sealer(dekKey = Buffer.from(key)): FieldSealer {
  return new FieldSealer({ dekId: 7n, day: cell.day, table: cell.table, key: dekKey });
}

describe('field', () => {
  test('known answer: a field sealed by the written format opens', () => {
    const sealed = sealByHand('203.0.113.9');
    expect(createHash('sha256').update(sealed).digest('hex')).toBe(
      'ef1e835f15e53fcb4c1e4cc20fea1243e8768b5a8c0ab9c2a6a654f53dfa2392',
    );
    expect(openField(sealed, cell, key)).toBe('203.0.113.9');
  });

  test('what we seal has the documented shape and opens', () => {
    const sealed = sealer().seal('ip_sealed', eventId, '203.0.113.9');
    expect(sealed).toHaveLength(11 + fieldOverheadBytes);
    expect(sealed.subarray(0, 10).toString('hex')).toBe('01010000000000000007');
    expect(dekIdOf(sealed)).toBe(7n);
    expect(openField(sealed, cell, key)).toBe('203.0.113.9');
  });

  test.each([
    ['another row', { ...cell, eventId: '0b1c2d3e-4f50-4617-8293-a4b5c6d7e8fa' }],
    ['another column', { ...cell, column: 'device_id_sealed' }],
    ['another day', { ...cell, day: '2026-11-25' }],
    ['another table', { ...cell, table: 'user_login' }],
  ])('a cell moved to %s does not open', (_, elsewhere) => {
    const sealed = sealer().seal('ip_sealed', eventId, '203.0.113.9');
    expect(openField(sealed, elsewhere, key)).toBeUndefined();
  });

  test('one sealer, many rows and columns: every cell opens in its place and in no other', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ eventId: fc.uuid(), column: fc.constantFrom('a', 'b', 'ab'), plain: fc.string() }),
          {
            minLength: 2,
            maxLength: 8,
          },
        ),
        (cells) => {
          const one = sealer();
          const sealed = cells.map((c) => one.seal(c.column, c.eventId, c.plain));
          for (const at of cells) {
            for (const [j, value] of sealed.entries()) {
              const opened = openField(value, { ...cell, column: at.column, eventId: at.eventId }, key);
              const same = cells[j]?.column === at.column && cells[j]?.eventId === at.eventId;
              const expected = Buffer.from(cells[j]?.plain ?? '').toString('utf8');
              expect(opened).toBe(same ? expected : undefined);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test('no byte may change', () => {
    const sealed = sealer().seal('ip_sealed', eventId, '203.0.113.9');
    for (let i = 0; i < sealed.length; i++) {
      const altered = Buffer.from(sealed);
      altered[i] = (altered[i] ?? 0) ^ 1;
      // The data key's id is bound to nothing: it only says which key to try, and another does not open.
      const opened = i >= 2 && i < 10 && dekIdOf(altered) !== 7n ? undefined : openField(altered, cell, key);
      expect(opened).toBeUndefined();
    }
    expect(openField(sealed.subarray(0, 40), cell, key)).toBeUndefined();
  });

  test('the same plain text never seals to the same bytes', () => {
    const one = sealer();
    const seen = new Set(
      Array.from({ length: 2_000 }, () => one.seal('ip_sealed', eventId, '1.1.1.1').toString('hex')),
    );
    expect(seen.size).toBe(2_000);
    expect(one.seals).toBe(2_000);
  });

  test('a retired key is wiped', () => {
    const dekKey = Buffer.from(key);
    sealer(dekKey).retire();
    expect(dekKey.equals(Buffer.alloc(32))).toBe(true);
  });
});

describe('sealed box', () => {
  test('opens with the private half and no other', () => {
    const pair = newKeyPair();
    const dek = randomKey();
    const sealed = sealToPublicKey(dek, pair.publicKey);
    expect(openSealed(sealed, pair)?.equals(dek)).toBe(true);
    expect(openSealed(sealed, newKeyPair())).toBeUndefined();
    expect(openSealed(sealed.subarray(1), pair)).toBeUndefined();
  });
});

describe('token', () => {
  test('known answer', () => {
    expect(new Tokenizer({ epoch: 1, key }).token('ip', '203.0.113.9')).toBe(
      // python: urlsafe_b64encode(blake2b(b'ip' + b'\0' + b'203.0.113.9', key=bytes(range(32)), digest_size=16).digest())
      't1:YsI8h4m5s-yp_aNYsfm_vw',
    );
  });

  test('depends on pepper, column and value', () => {
    const one = new Tokenizer({ epoch: 1, key });
    const tokens = [
      one.token('ip', '1.1.1.1'),
      one.token('ip', '1.1.1.2'),
      one.token('device_id', '1.1.1.1'),
      new Tokenizer({ epoch: 1, key: randomKey() }).token('ip', '1.1.1.1'),
      new Tokenizer({ epoch: 2, key }).token('ip', '1.1.1.1'),
    ];
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(one.token('ip', '1.1.1.1')).toBe(tokens[0]);
  });
});

describe('transit', () => {
  const sentAtMs = Date.parse('2026-11-24T23:59:59.999Z');
  const identity = { eventId, sentAtMs };
  const body = Buffer.from('{"ip":"203.0.113.9"}');
  const keys = { transitKey: async (day: string) => (day === '2026-11-24' ? key : undefined) };

  async function ready(): Promise<TransitSealer> {
    const transit = new TransitSealer(keys);
    await transit.prepare('2026-11-24');
    return transit;
  }

  test('known answer: a body sealed by the written format opens', async () => {
    const header = Buffer.from('01010000512d', 'hex');
    const time = Buffer.alloc(8);
    time.writeBigInt64BE(BigInt(sentAtMs));
    const ciphertext = Buffer.alloc(body.length + 16);
    const aad = Buffer.concat([header, time, Buffer.from(eventId)]);
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(ciphertext, body, aad, null, knownField.nonce, key);
    const value = Buffer.concat([header, knownField.nonce, ciphertext]);
    expect((await ready()).open(value, identity)).toEqual(body);
  });

  test('seals, says its day, opens', async () => {
    const transit = await ready();
    const value = transit.seal(body, identity);
    expect(value).toHaveLength(body.length + transitOverheadBytes);
    expect(value?.subarray(0, 6).toString('hex')).toBe('01010000512d');
    expect(TransitSealer.dayOf(value ?? body)).toBe('2026-11-24');
    expect(transit.open(value ?? body, identity)).toEqual(body);
  });

  test('an empty body and one of a megabyte', async () => {
    const transit = await ready();
    for (const plain of [Buffer.alloc(0), Buffer.alloc(1_048_576, 0x41)]) {
      const value = transit.seal(plain, identity);
      expect(transit.open(value ?? body, identity)).toEqual(plain);
    }
  });

  test('does not open under another key, time or key of the record, nor altered', async () => {
    const transit = await ready();
    const value = transit.seal(body, identity) ?? body;
    expect(transit.open(value, { ...identity, sentAtMs: sentAtMs - 1 })).toBe('TRANSIT_OPEN_FAILED');
    expect(transit.open(value, { ...identity, eventId: eventId.replace('0', '1') })).toBe(
      'TRANSIT_OPEN_FAILED',
    );
    expect(transit.open(value.subarray(0, 20), identity)).toBe('TRANSIT_OPEN_FAILED');
    expect(transit.open(value.subarray(0, -1), identity)).toBe('TRANSIT_OPEN_FAILED');
  });

  test('a day whose key is not loaded does not seal; one without a key is an outage', async () => {
    const transit = await ready();
    expect(transit.seal(body, { eventId, sentAtMs: sentAtMs + 1 })).toBeUndefined();
    await expect(transit.prepare('2026-11-25')).rejects.toMatchObject({
      code: 'KEY_MISSING',
      action: 'retry',
    });
  });

  describe('keys that are held', () => {
    const hour = 3_600_000;
    function held() {
      let now = 0;
      let answer: 'there' | 'gone' | 'down' = 'there';
      const given: Buffer[] = [];
      const source = {
        async transitKey() {
          if (answer === 'down') throw new Error('the vault does not answer');
          if (answer === 'gone') return undefined;
          const copy = Buffer.from(key);
          given.push(copy);
          return copy;
        },
      };
      return {
        transit: new TransitSealer(source, () => now),
        given,
        wiped: () => given.map((copy) => copy.equals(Buffer.alloc(32))),
        advance: (ms: number) => (now += ms),
        vault: (is: typeof answer) => (answer = is),
      };
    }

    test('are wiped when nothing has used them for an hour', async () => {
      const { transit, wiped, advance } = held();
      await transit.prepare('2026-11-24');
      for (let minute = 0; minute < 90; minute++) {
        if (minute < 20) transit.seal(body, identity);
        await transit.tend();
        expect(transit.holds('2026-11-24')).toBe(minute < 79);
        advance(60_000);
      }
      expect(wiped()).not.toContain(false);
      expect(transit.seal(body, identity)).toBeUndefined();
    });

    test('are wiped within an hour of being destroyed in the vault, however busy', async () => {
      const { transit, wiped, advance, vault } = held();
      await transit.prepare('2026-11-24');
      const value = transit.seal(body, identity) ?? body;
      vault('gone');
      for (let ms = 0; ms < hour; ms += 600_000) {
        expect(transit.open(value, identity)).toEqual(body);
        await transit.tend();
        advance(600_000);
      }
      await transit.tend();
      expect(wiped()).toEqual([true]);
      expect(transit.open(value, identity)).toBe('TRANSIT_KEY_GONE');
    });

    test('stay while the vault does not answer, and it is asked again a minute later', async () => {
      const { transit, advance, vault } = held();
      await transit.prepare('2026-11-24');
      vault('down');
      for (let i = 0; i < 30; i++) {
        transit.seal(body, identity);
        await transit.tend();
        advance(600_000);
      }
      expect(transit.holds('2026-11-24')).toBe(true);
      vault('gone');
      transit.seal(body, identity);
      advance(60_000);
      await transit.tend();
      expect(transit.holds('2026-11-24')).toBe(false);
    });

    test('are all wiped at the end', async () => {
      const { transit, wiped } = held();
      await transit.prepare('2026-11-24');
      transit.forgetAll();
      expect(wiped()).toEqual([true]);
    });
  });

  test('plain bodies and short values have no day', () => {
    expect(TransitSealer.dayOf(body)).toBeUndefined();
    expect(TransitSealer.dayOf(Buffer.from([1, 1]))).toBeUndefined();
    expect(TransitSealer.dayOf(Buffer.alloc(0))).toBeUndefined();
  });
});
