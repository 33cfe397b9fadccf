import sodium from 'sodium-native';

/** An X25519 keypair, 32 bytes each. The private half is wiped by its holder as soon as it is stored. */
export interface KeyPair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

export const publicKeyBytes = sodium.crypto_box_PUBLICKEYBYTES;
const sealBytes = sodium.crypto_box_SEALBYTES;

/** Memory that is locked against swapping, guarded, and left out of core dumps (libsodium `sodium_malloc`). */
export function secureBuffer(bytes: number): Buffer {
  return sodium.sodium_malloc(bytes);
}

/** Overwrites key material in a way the compiler may not drop. */
export function wipe(buffer: Buffer): void {
  sodium.sodium_memzero(buffer);
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

/** @returns the message in locked memory, or undefined when it was sealed to another key or altered. */
export function openSealed(sealed: Buffer, pair: KeyPair): Buffer | undefined {
  if (sealed.length < sealBytes) return undefined;
  const message = secureBuffer(sealed.length - sealBytes);
  return sodium.crypto_box_seal_open(message, sealed, pair.publicKey, pair.privateKey) ? message : undefined;
}

/** The public half of a private X25519 key. */
export function publicKeyOf(privateKey: Buffer): Buffer {
  const publicKey = Buffer.alloc(publicKeyBytes);
  sodium.crypto_scalarmult_base(publicKey, privateKey);
  return publicKey;
}
