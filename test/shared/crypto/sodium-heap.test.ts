import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import sodium from 'sodium-native';
import { expect, test } from 'vitest';
import { randomKey, wipe } from '../../../shared/crypto/sealed-box.ts';
import { sodiumHeap as heap } from '../../../shared/crypto/sodium-heap.ts';

const bytesOf = (max: number) => fc.uint8Array({ maxLength: max }).map((one) => Buffer.from(one));
const exactly = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((one) => Buffer.from(one));
const textAt = (length: number) => Buffer.from(heap.bytes.subarray(heap.text, heap.text + length));

function put(message: Buffer, aad: Buffer, nonce: Buffer): void {
  heap.bytes.set(message, heap.text);
  heap.bytes.set(aad, heap.aad);
  heap.bytes.set(nonce, heap.nonce);
}

test('seals, opens and hashes what sodium-native does, with ever so many keys', () => {
  fc.assert(
    fc.property(exactly(32), exactly(24), bytesOf(80), bytesOf(600), (key, nonce, aad, message) => {
      const sealed = Buffer.alloc(message.length + 16);
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, message, aad, null, nonce, key);
      put(message, aad, nonce);
      heap.seal(message.length, aad.length, key);
      expect(textAt(sealed.length)).toEqual(sealed);
      expect(heap.open(sealed.length, aad.length, key)).toBe(true);
      expect(textAt(message.length)).toEqual(message);
      const forged = Buffer.from(sealed);
      forged[message.length] = (forged[message.length] ?? 0) ^ 1;
      put(forged, aad, nonce);
      expect(heap.open(forged.length, aad.length, key)).toBe(false);
      const digest = Buffer.alloc(16);
      sodium.crypto_generichash(digest, message, key);
      heap.bytes.set(message, heap.text);
      heap.hash(message.length, key);
      expect(heap.bytes.subarray(heap.digest, heap.digest + 16)).toEqual(digest);
    }),
    { numRuns: 300 },
  );
});

test.each([12, 48, 63, 127, 200, 300, 5_000])(
  'nothing stays of a text of %i bytes: key, text and what the functions leave on their stack are gone with the turn that needed them',
  async (length) => {
    const secret = randomBytes(length);
    const sealed = Buffer.alloc(length + 16);
    for (const work of ['seal', 'open', 'hash'] as const) {
      const key = randomKey();
      const copy = Buffer.from(key);
      const [aad, nonce] = [randomBytes(40), randomBytes(24)];
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, secret, aad, null, nonce, key);
      put(work === 'open' ? sealed : secret, aad, nonce);
      const done = {
        seal: () => heap.seal(length, aad.length, key) ?? true,
        open: () => heap.open(length + 16, aad.length, key),
        hash: () => heap.hash(length, key) ?? true,
      }[work]();
      expect(done).toBe(true);
      expect(heap.bytes.includes(copy)).toBe(true);
      await setImmediate();
      const left = [...windows(copy), ...windows(secret), ...windows(sealed)].filter((one) =>
        heap.bytes.includes(one),
      );
      expect(left).toEqual([]);
      wipe(key);
      expect(() => heap.hash(1, key)).toThrow('a key that was wiped is used');
    }
  },
);

/** Every eight bytes of it, of the longest a few hundred. */
function windows(bytes: Buffer): Buffer[] {
  const step = Math.max(1, Math.floor(bytes.length / 300));
  return Array.from({ length: Math.ceil((bytes.length - 7) / step) }, (_, i) =>
    bytes.subarray(i * step, i * step + 8),
  );
}
