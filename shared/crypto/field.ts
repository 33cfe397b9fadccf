import sodium from 'sodium-native';
import { PipelineError } from '../errors.ts';
import { sealedMarker } from './transit.ts';
import type { Day } from '../time.ts';
import { NoncePool } from './nonce-pool.ts';
import { wipe } from './sealed-box.ts';
import { sodiumHeap } from './sodium-heap.ts';
import { writeUuid } from './uuid.ts';
import { writeUtf8 } from '../utf8.ts';

const suiteXChaCha20Poly1305 = 0x01;
const nonceBytes = sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
const tagBytes = sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES;
const prefixBytes = 2 + 8;
const headerBytes = prefixBytes + nonceBytes;

/** How much longer a sealed field is: marker, suite, data key id, nonce and tag. */
export const fieldOverheadBytes = headerBytes + tagBytes;

/** The cell a field belongs to. `eventId` is a canonical UUID. */
export interface Cell {
  readonly table: string;
  readonly column: string;
  readonly day: Day;
  readonly eventId: string;
}

/**
 * Seals the personal fields of one day under one data key (DEK).
 *
 * `01 | suite 01 | dek_id, int64 BE | nonce 24 | ciphertext | tag 16`, XChaCha20-Poly1305, with **AAD = `01 01` | table | 00 |
 * column | 00 | create_date as YYYY-MM-DD | event_id, 16 bytes**: a cell moved to another row or column fails to open.
 * `203.0.113.9` under data key 7 is 61 bytes and starts `01 01 00 00 00 00 00 00 00 07`.
 */
export class FieldSealer {
  readonly dekId: bigint;
  readonly day: Day;
  readonly #key: Buffer;
  readonly #nonces = new NoncePool(nonceBytes);
  /** The AAD of some cell of each column: of another, the last 16 bytes differ. */
  readonly #aadByColumn = new Map<string, Buffer>();
  readonly #table: string;
  /** Marker, suite and data key id: what every field begins with. */
  readonly #prefix: Buffer;
  #seals = 0;
  #retired = false;

  /** Takes over `key` (32 bytes, from sodium_malloc) and wipes it on {@link retire}. */
  constructor(options: { dekId: bigint; day: Day; table: string; key: Buffer }) {
    this.dekId = options.dekId;
    this.day = options.day;
    this.#table = options.table;
    this.#key = options.key;
    this.#prefix = Buffer.from([sealedMarker, suiteXChaCha20Poly1305, 0, 0, 0, 0, 0, 0, 0, 0]);
    this.#prefix.writeBigInt64BE(this.dekId, 2);
  }

  /** How often this key has sealed. */
  get seals(): number {
    return this.#seals;
  }

  get retired(): boolean {
    return this.#retired;
  }

  /** @throws PipelineError INTERNAL once retired: what a wiped key seals, nobody opens. */
  seal(column: string, eventId: string, plain: string): Buffer {
    const sealed = Buffer.allocUnsafe(maxSealedBytes(plain));
    return sealed.subarray(0, this.sealInto(sealed, 0, column, eventId, plain));
  }

  /**
   * {@link seal} into `target` at `at`, where there are {@link maxSealedBytes}. @returns where the sealed field ends
   * @throws PipelineError INTERNAL
   */
  sealInto(target: Buffer, at: number, column: string, eventId: string, plain: string): number {
    if (this.#retired) throw new PipelineError('INTERNAL', 'a retired data key seals nothing');
    const { bytes, text, nonce } = sodiumHeap;
    if (3 * plain.length > sodiumHeap.textBytes) throw new PipelineError('INTERNAL', 'too long for a field');
    const aadLength = this.#writeAad(column, eventId);
    this.#nonces.next(bytes, nonce);
    const length = writeUtf8(bytes, text, plain);
    sodiumHeap.seal(length, aadLength, this.#key);
    target.set(this.#prefix, at);
    bytes.copy(target, at + prefixBytes, nonce, text + length + tagBytes);
    this.#seals += 1;
    return at + headerBytes + length + tagBytes;
  }

  #writeAad(column: string, eventId: string): number {
    const { bytes, aad } = sodiumHeap;
    let known = this.#aadByColumn.get(column);
    if (known === undefined) {
      known = aadOf({ table: this.#table, column, day: this.day, eventId });
      this.#aadByColumn.set(column, known);
    }
    bytes.set(known, aad);
    writeUuid(bytes, eventId, aad + known.length - 16);
    return known.length;
  }

  /** Wipes the key: from here on nothing in this process can open what it sealed. */
  retire(): void {
    this.#retired = true;
    wipe(this.#key);
  }
}

/** The most that a field takes, sealed: a UTF-16 unit is three bytes of UTF-8 at most. */
export function maxSealedBytes(plain: string): number {
  return fieldOverheadBytes + 3 * plain.length;
}

/** The data key that a sealed field names, or undefined when it is no sealed field of this format. */
export function dekIdOf(sealed: Buffer): bigint | undefined {
  if (sealed.length < fieldOverheadBytes) return undefined;
  if (sealed[0] !== sealedMarker || sealed[1] !== suiteXChaCha20Poly1305) return undefined;
  return sealed.readBigInt64BE(2);
}

/** @returns the plain field, or undefined when the key, the cell or a byte is not the one it was sealed with. */
export function openField(sealed: Buffer, cell: Cell, key: Buffer): string | undefined {
  if (dekIdOf(sealed) === undefined) return undefined;
  const plain = Buffer.alloc(sealed.length - fieldOverheadBytes);
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      plain,
      null,
      sealed.subarray(headerBytes),
      aadOf(cell),
      sealed.subarray(prefixBytes, headerBytes),
      key,
    );
  } catch {
    return undefined;
  }
  return plain.toString('utf8');
}

function aadOf(cell: Cell): Buffer {
  const prefix = `\u0001\u0001${cell.table}\u0000${cell.column}\u0000${cell.day}`;
  const aad = Buffer.alloc(Buffer.byteLength(prefix, 'utf8') + 16);
  const end = aad.write(prefix, 'utf8');
  writeUuid(aad, cell.eventId, end);
  return aad;
}
