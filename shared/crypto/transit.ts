import sodium from 'sodium-native';
import { PipelineError, type DeadLetterCode } from '../errors.ts';
import { dayNumber, dayOf, msPerDay, type Day } from '../time.ts';
import type { TransitKeys } from '../vault/ports.ts';
import { NoncePool } from './nonce-pool.ts';

/** First byte of every sealed value. No SQS body can start with it: U+0001 is not a character SQS takes. */
export const sealedMarker = 0x01;
const suiteXChaCha20Poly1305 = 0x01;
const headerBytes = 2 + 4 + sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
const tagBytes = sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES;

/** How much longer a sealed body is: marker, suite, day, nonce and tag. */
export const transitOverheadBytes = headerBytes + tagBytes;

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
  readonly #keys = new Map<number, Buffer>();
  readonly #nonces = new NoncePool(sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
  readonly #aad = Buffer.alloc(6 + 8 + 128);

  constructor(source: TransitKeys) {
    this.#source = source;
  }

  /**
   * Loads the key of a day; nothing to do when it is loaded. Keys of other days stay: days overlap around midnight.
   * @throws PipelineError VAULT_UNAVAILABLE, or KEY_MISSING when the vault has none (yet).
   */
  async prepare(day: Day): Promise<void> {
    const number = dayNumber(Date.parse(`${day}T00:00:00Z`));
    if (this.#keys.has(number)) return;
    const key = await this.#source.transitKey(day);
    if (key === undefined) throw new PipelineError('KEY_MISSING', `no transit key for ${day}`);
    if (this.#keys.size >= 64) this.#forgetOldest();
    this.#keys.set(number, key);
  }

  /** @returns the sealed body, or undefined while the key of that day is not loaded (see {@link prepare}). */
  seal(body: Buffer, identity: TransitIdentity): Buffer | undefined {
    const day = dayNumber(identity.sentAtMs);
    const key = this.#keys.get(day);
    if (key === undefined) return undefined;
    const sealed = Buffer.allocUnsafe(transitOverheadBytes + body.length);
    sealed[0] = sealedMarker;
    sealed[1] = suiteXChaCha20Poly1305;
    sealed.writeUInt32BE(day, 2);
    const nonce = sealed.subarray(6, headerBytes);
    this.#nonces.next(nonce);
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
      sealed.subarray(headerBytes),
      body,
      this.#aadFor(sealed, identity),
      null,
      nonce,
      key,
    );
    return sealed;
  }

  /** The day whose key a sealed value needs, or undefined when it is no sealed value of this format. */
  static dayOf(value: Buffer): Day | undefined {
    if (value.length < transitOverheadBytes || value[0] !== sealedMarker) return undefined;
    if (value[1] !== suiteXChaCha20Poly1305) return undefined;
    const number = value.readUInt32BE(2);
    return number > 100_000 ? undefined : dayOf(number * msPerDay);
  }

  /** @returns the body, or the code under which the record is a dead letter. */
  open(value: Buffer, identity: TransitIdentity): Buffer | DeadLetterCode {
    if (value.length < transitOverheadBytes) return 'TRANSIT_OPEN_FAILED';
    const key = this.#keys.get(value.readUInt32BE(2));
    if (key === undefined) return 'TRANSIT_KEY_GONE';
    const body = Buffer.allocUnsafe(value.length - transitOverheadBytes);
    try {
      sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        body,
        null,
        value.subarray(headerBytes),
        this.#aadFor(value, identity),
        value.subarray(6, headerBytes),
        key,
      );
    } catch {
      return 'TRANSIT_OPEN_FAILED';
    }
    return body;
  }

  #aadFor(value: Buffer, identity: TransitIdentity): Buffer {
    value.copy(this.#aad, 0, 0, 6);
    this.#aad.writeBigInt64BE(BigInt(identity.sentAtMs), 6);
    const length = this.#aad.write(identity.eventId, 14, 'latin1');
    return this.#aad.subarray(0, 14 + length);
  }

  #forgetOldest(): void {
    this.#keys.delete(Math.min(...this.#keys.keys()));
  }
}
