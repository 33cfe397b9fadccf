import sodium from 'sodium-native';
import { PipelineError, type DeadLetterCode } from '../errors.ts';
import { dayNumber, dayOf, msPerDay, type Day } from '../time.ts';
import type { TransitKeys } from '../vault/ports.ts';
import { writeUtf8 } from '../utf8.ts';
import { NoncePool } from './nonce-pool.ts';
import { wipe } from './sealed-box.ts';
import { sodiumHeap } from './sodium-heap.ts';

/** First byte of every sealed value. No SQS body can start with it: U+0001 is not a character SQS takes. */
export const sealedMarker = 0x01;
const suiteXChaCha20Poly1305 = 0x01;
const nonceBytes = sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
const prefixBytes = 2 + 4;
const headerBytes = prefixBytes + nonceBytes;
const tagBytes = sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES;

/** How much longer a sealed body is: marker, suite, day, nonce and tag. */
export const transitOverheadBytes = headerBytes + tagBytes;

/** What is longer is no MessageId. */
const maxIdLength = 512;

/** A key is looked up in the vault again after this long, so that one destroyed there is soon nowhere; one that is not used goes too. */
const holdMs = 3_600_000;
const lookAgainMs = 60_000;

interface Held {
  readonly key: Buffer;
  /** When the vault is to be asked again. */
  lookAt: number;
  usedAt: number;
  /** Since {@link TransitSealer.tend} last looked. */
  used: boolean;
}

/** What a body is bound to: a value moved under another key or time does not open. */
export interface TransitIdentity {
  /** The SQS MessageId (of the origin, when redriven), as text. */
  readonly eventId: string;
  /** SentTimestamp, milliseconds since the epoch. */
  readonly sentAtMs: number;
}

/**
 * Seals message bodies on their way through Kafka, under the transit key of the day of their SentTimestamp.
 *
 * `01 | suite 01 | day, uint32 BE, days since 1970 | nonce 24 | ciphertext | tag 16`, XChaCha20-Poly1305, with
 * AAD = the first six bytes | SentTimestamp, int64 BE, ms | MessageId in ASCII. So a body of 200 bytes becomes 246, and
 * one of 2026-11-24 (day 20781 = 0x0000512d) starts `01 01 00 00 51 2d`.
 */
export class TransitSealer {
  readonly #source: TransitKeys;
  readonly #monotonicMs: () => number;
  readonly #keys = new Map<number, Held>();
  #tending: Promise<void> | undefined;
  readonly #nonces = new NoncePool(nonceBytes);

  /** `monotonicMs`: time that nobody sets back or forth. */
  constructor(source: TransitKeys, monotonicMs: () => number = () => performance.now()) {
    this.#source = source;
    this.#monotonicMs = monotonicMs;
  }

  /**
   * Loads the key of a day; nothing to do when it is loaded. Keys of other days stay: days overlap around midnight.
   * @throws PipelineError VAULT_UNAVAILABLE, or KEY_MISSING when the vault has none (yet).
   */
  async prepare(day: Day): Promise<void> {
    const number = numberOf(day);
    if (this.#keys.has(number)) return;
    const key = await this.#source.transitKey(day);
    if (key === undefined) throw new PipelineError('KEY_MISSING', `no transit key for ${day}`);
    this.#forget(number);
    const now = this.#monotonicMs();
    this.#keys.set(number, { key, lookAt: now + holdMs, usedAt: now, used: false });
  }

  /** Whether the key of a day is loaded, until something is awaited. */
  holds(day: Day): boolean {
    return this.#keys.has(numberOf(day));
  }

  /**
   * Wipes keys that nothing has used for an hour, and those that the vault, asked once an hour, has no more. A vault that does not
   * answer changes nothing. Cheap: a process calls it every second, for no message may come.
   */
  tend(): Promise<void> {
    const now = this.#monotonicMs();
    for (const [number, held] of this.#keys) {
      if (held.used) held.usedAt = now;
      held.used = false;
      if (now - held.usedAt >= holdMs) this.#forget(number);
    }
    this.#tending ??= this.#lookAgain().finally(() => {
      this.#tending = undefined;
    });
    return this.#tending;
  }

  async #lookAgain(): Promise<void> {
    for (const [number, held] of this.#keys) {
      if (this.#monotonicMs() < held.lookAt) continue;
      held.lookAt = this.#monotonicMs() + lookAgainMs;
      try {
        const key = await this.#source.transitKey(dayOf(number * msPerDay));
        held.lookAt = this.#monotonicMs() + holdMs;
        if (key === undefined && this.#keys.get(number) === held) this.#forget(number);
        if (key !== undefined) wipe(key);
      } catch {
        // It does not answer: asked again in a minute.
      }
    }
  }

  /** Wipes every key. */
  forgetAll(): void {
    for (const number of this.#keys.keys()) this.#forget(number);
  }

  /** @returns the sealed body, or undefined while the key of that day is not loaded (see {@link prepare}). */
  seal(body: Buffer, identity: TransitIdentity): Buffer | undefined {
    const day = dayNumber(identity.sentAtMs);
    const held = this.#keys.get(day);
    if (held === undefined) return undefined;
    held.used = true;
    const sealed = Buffer.allocUnsafe(transitOverheadBytes + body.length);
    sealed[0] = sealedMarker;
    sealed[1] = suiteXChaCha20Poly1305;
    sealed.writeUInt32BE(day, 2);
    const aadLength = writeAad(sealed, identity);
    const { bytes, text, nonce, textBytes } = sodiumHeap;
    if (body.length > textBytes) {
      this.#nonces.next(sealed, prefixBytes);
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed.subarray(headerBytes),
        body,
        heapAad(aadLength),
        null,
        sealed.subarray(prefixBytes, headerBytes),
        held.key,
      );
      return sealed;
    }
    this.#nonces.next(bytes, nonce);
    bytes.set(body, text);
    sodiumHeap.seal(body.length, aadLength, held.key);
    bytes.copy(sealed, prefixBytes, nonce, text + body.length + tagBytes);
    return sealed;
  }

  /** The day whose key a sealed value needs, or undefined when it is no sealed value of this format. */
  static dayOf(value: Buffer): Day | undefined {
    const number = TransitSealer.dayNumberOf(value);
    return number === undefined ? undefined : dayOf(number * msPerDay);
  }

  /** The same as days since 1970-01-01. */
  static dayNumberOf(value: Buffer): number | undefined {
    if (value.length < transitOverheadBytes || value[0] !== sealedMarker) return undefined;
    if (value[1] !== suiteXChaCha20Poly1305) return undefined;
    const number = value.readUInt32BE(2);
    return number > 100_000 ? undefined : number;
  }

  /** @returns the body, or the code under which the record is a dead letter. */
  open(value: Buffer, identity: TransitIdentity): Buffer | DeadLetterCode {
    const body = this.openInPlace(value, identity);
    return typeof body === 'string' ? body : Buffer.from(body);
  }

  /** {@link open}, without a copy: **the body is good until anything else is sealed, opened or hashed**, or awaited. */
  openInPlace(value: Buffer, identity: TransitIdentity): Buffer | DeadLetterCode {
    if (value.length < transitOverheadBytes) return 'TRANSIT_OPEN_FAILED';
    const held = this.#keys.get(value.readUInt32BE(2));
    if (held === undefined) return 'TRANSIT_KEY_GONE';
    held.used = true;
    const length = value.length - transitOverheadBytes;
    const aadLength = writeAad(value, identity);
    const { bytes, text, nonce, textBytes } = sodiumHeap;
    if (length > textBytes) return openNatively(value, heapAad(aadLength), held.key);
    value.copy(bytes, nonce, prefixBytes);
    if (!sodiumHeap.open(length + tagBytes, aadLength, held.key)) return 'TRANSIT_OPEN_FAILED';
    return bytes.subarray(text, text + length);
  }

  #forget(number: number): void {
    const held = this.#keys.get(number);
    if (held !== undefined) wipe(held.key);
    this.#keys.delete(number);
  }
}

/** The AAD of a value that begins with marker, suite and day. @returns its length */
function writeAad(value: Buffer, { eventId, sentAtMs }: TransitIdentity): number {
  const { bytes, aad } = sodiumHeap;
  if (eventId.length > maxIdLength) throw new PipelineError('INTERNAL', 'too long for a MessageId');
  // A call of copy() costs more than these.
  for (let i = 0; i < prefixBytes; i += 1) bytes[aad + i] = value[i] ?? 0;
  // A BigInt costs more than the rest of this: SentTimestamps are far below 2⁵³.
  bytes.writeInt32BE(Math.floor(sentAtMs / 2 ** 32), aad + prefixBytes);
  bytes.writeUInt32BE(sentAtMs >>> 0, aad + prefixBytes + 4);
  return prefixBytes + 8 + writeUtf8(bytes, aad + prefixBytes + 8, eventId);
}

function heapAad(length: number): Buffer {
  return Buffer.from(sodiumHeap.bytes.subarray(sodiumHeap.aad, sodiumHeap.aad + length));
}

function openNatively(value: Buffer, aad: Buffer, key: Buffer): Buffer | DeadLetterCode {
  const body = Buffer.allocUnsafe(value.length - transitOverheadBytes);
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      body,
      null,
      value.subarray(headerBytes),
      aad,
      value.subarray(prefixBytes, headerBytes),
      key,
    );
  } catch {
    return 'TRANSIT_OPEN_FAILED';
  }
  return body;
}

function numberOf(day: Day): number {
  return dayNumber(Date.parse(`${day}T00:00:00Z`));
}
