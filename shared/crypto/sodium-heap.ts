import load from 'libsodium';
import { PipelineError } from '../errors.ts';

const {
  HEAPU8: heap,
  _malloc: allocate,
  _crypto_aead_xchacha20poly1305_ietf_encrypt: encrypt,
  _crypto_aead_xchacha20poly1305_ietf_decrypt: decrypt,
  _crypto_generichash: genericHash,
} = await load();

const keyBytes = 32;
const keySlots = 32;
const nonceBytes = 24;
const aadBytes = 2_048;
const tagBytes = 16;
/** Four blocks of ChaCha20, two of BLAKE2b, and most of another of either. */
const wipedBytes = 319;
const digestBytes = 16;
/** What does not fit is for sodium-native: where there is much to do, the way there does not matter. */
const textBytes = 65_536;

const start = allocate(keyBytes * keySlots + aadBytes + digestBytes + nonceBytes + textBytes + tagBytes);
const aad = start + keyBytes * keySlots;
const digest = aad + aadBytes;
const nonce = digest + digestBytes;
/** Right after the nonce, as in everything that is sealed here: both are copied at once. */
const text = nonce + nonceBytes;

/** All of its memory: it does not grow, for what is called here takes none. */
const bytes = Buffer.from(heap.buffer);

const lent: Buffer[] = [];
let wiping = false;
let textEnd = text;

/**
 * libsodium a second time, as WebAssembly. Of a short text, sodium-native's call costs twice as much, most of it the way into C++ and back.
 *
 * This memory can be neither locked nor guarded, so **nothing stays in it**: a key lives in sodium-native's, is lent for what this turn of the
 * event loop does, and at its end keys, texts and the stack are overwritten. Offsets are into `bytes`; what is at one of them is good until the next call.
 */
export const sodiumHeap = {
  bytes,
  /** Up to 2,048 bytes. */
  aad,
  /** 16 bytes, from {@link hash}. */
  digest,
  /** 24 bytes, before {@link text}. */
  nonce,
  /** What is sealed, opened or hashed, in its place: `textBytes`, and a tag. */
  text,
  textBytes,

  /** Seals `length` bytes at {@link text}, XChaCha20-Poly1305: there are 16 more then. `key` is 32 bytes. */
  seal(length: number, aadLength: number, key: Buffer): void {
    textEnd = Math.max(textEnd, text + length + tagBytes);
    encrypt(text, 0, text, length, 0, aad, aadLength, 0, 0, nonce, addressOf(key));
  },

  /** Opens `length` sealed bytes at {@link text}: there are 16 fewer then. False when key, nonce, AAD or a byte is not what it was sealed with. */
  open(length: number, aadLength: number, key: Buffer): boolean {
    textEnd = Math.max(textEnd, text + length);
    const failed = decrypt(text, 0, 0, text, length, 0, aad, aadLength, 0, nonce, addressOf(key));
    return failed === 0;
  },

  /** BLAKE2b-128 of `length` bytes at {@link text}, keyed, to {@link digest}. */
  hash(length: number, key: Buffer): void {
    textEnd = Math.max(textEnd, text + length);
    genericHash(digest, digestBytes, text, length, 0, addressOf(key), keyBytes);
  },
} as const;

/** Where a key is, put there if it is not. */
function addressOf(key: Buffer): number {
  let slot = lent.indexOf(key);
  if (slot === -1) {
    if (key.length !== keyBytes) throw new PipelineError('INTERNAL', 'a key that was wiped is used');
    // Text and nonce are there already.
    if (lent.length === keySlots) lent.length = 0;
    slot = lent.push(key) - 1;
    bytes.set(key, start + slot * keyBytes);
    if (!wiping) setImmediate(wipe);
    wiping = true;
  }
  return start + slot * keyBytes;
}

/**
 * The stack has frames of these functions only: with nothing to say, they overwrite what they have left there. The length takes every way through
 * them: several blocks, and one that is not full.
 */
function wipe(): void {
  wiping = false;
  lent.length = 0;
  bytes.fill(0, start, Math.max(textEnd, text + wipedBytes + tagBytes));
  textEnd = text;
  encrypt(text, 0, text, wipedBytes, 0, aad, wipedBytes, 0, 0, nonce, start);
  decrypt(text, 0, 0, text, wipedBytes + tagBytes, 0, aad, wipedBytes, 0, nonce, start);
  genericHash(digest, digestBytes, text, wipedBytes, 0, start, keyBytes);
  bytes.fill(0, digest, text + wipedBytes + tagBytes);
}
