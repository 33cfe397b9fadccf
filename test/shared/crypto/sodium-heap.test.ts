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

test('nothing stays: keys, texts and what the functions leave on their stack are gone with the turn that needed them', async () => {
  const key = randomKey();
  const copy = Buffer.from(key);
  const secret = Buffer.from('203.0.113.9 is whom we speak of, and nobody else');
  const kept = () =>
    [copy, copy.subarray(0, 16), copy.subarray(16), secret.subarray(0, 12)].map((one) =>
      heap.bytes.includes(one),
    );
  put(secret, Buffer.from('aad'), Buffer.alloc(24, 7));
  heap.hash(secret.length, key);
  heap.seal(secret.length, 3, key);
  heap.open(secret.length + 16, 3, key);
  expect(kept()).toEqual([true, true, true, true]);
  await setImmediate();
  expect(kept()).toEqual([false, false, false, false]);
  wipe(key);
  expect(() => heap.hash(1, key)).toThrow('a key that was wiped is used');
});
