import sodium from 'sodium-native';

/** An X25519 keypair, 32 bytes each. The private half is wiped by its holder as soon as it is stored. */
export interface KeyPair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

export const publicKeyBytes = sodium.crypto_box_PUBLICKEYBYTES;
const sealBytes = sodium.crypto_box_SEALBYTES;

/** Which memory is libsodium's. */
const secured = new WeakSet<ArrayBufferLike>();

/**
 * Memory that is locked against swapping, guarded, and left out of core dumps (libsodium `sodium_malloc`). **{@link wipe} it**: each
 * takes four pages and several of the 65,530 mappings that Linux grants a process, and the garbage collector, which sees 32 bytes,
 * is in no hurry; a process that runs out of them is aborted.
 */
export function secureBuffer(bytes: number): Buffer {
  const buffer = sodium.sodium_malloc(bytes);
  secured.add(buffer.buffer);
  return buffer;
}

/** Overwrites key material in a way the compiler may not drop. Memory from {@link secureBuffer} is given back before the next
 * event: the buffer is empty after. */
export function wipe(buffer: Buffer): void {
  sodium.sodium_memzero(buffer);
  if (secured.has(buffer.buffer)) sodium.sodium_free(buffer);
}

/** 32 random bytes in locked memory: a data key, a transit key, a pepper. */
export function randomKey(): Buffer {
  const key = secureBuffer(32);
  sodium.randombytes_buf(key);
  return key;
}

export function newKeyPair(): KeyPair {
  const publicKey = Buffer.alloc(publicKeyBytes);
  const privateKey = secureBuffer(sodium.crypto_box_SECRETKEYBYTES);
  sodium.crypto_box_keypair(publicKey, privateKey);
  return { publicKey, privateKey };
}

/** libsodium `crypto_box_seal`: anyone can seal to a public key, only the private half opens. */
export function sealToPublicKey(message: Buffer, publicKey: Buffer): Buffer {
  const sealed = Buffer.alloc(message.length + sealBytes);
  sodium.crypto_box_seal(sealed, message, publicKey);
  return sealed;
}

let scratch: Buffer | undefined;

/** @returns the message in locked memory, or undefined when it was sealed to another key or altered. */
export function openSealed(sealed: Buffer, pair: KeyPair): Buffer | undefined {
  if (sealed.length < sealBytes) return undefined;
  const length = sealed.length - sealBytes;
  // What does not open costs no locked memory of its own.
  if (scratch === undefined || scratch.length < length) scratch = secureBuffer(Math.max(length, 64));
  const opened = scratch.subarray(0, length);
  if (!sodium.crypto_box_seal_open(opened, sealed, pair.publicKey, pair.privateKey)) return undefined;
  const message = secureBuffer(length);
  opened.copy(message);
  sodium.sodium_memzero(opened);
  return message;
}

/** The public half of a private X25519 key. */
export function publicKeyOf(privateKey: Buffer): Buffer {
  const publicKey = Buffer.alloc(publicKeyBytes);
  sodium.crypto_scalarmult_base(publicKey, privateKey);
  return publicKey;
}
