import type { Day } from '../time.ts';
import type { DayPrivateKeys } from '../vault/ports.ts';
import { PipelineError } from '../errors.ts';
import { openField } from './field.ts';
import { openSealed, wipe, type KeyPair } from './sealed-box.ts';

/** A data key as the database has it: sealed to the public key of its day. */
export interface SealedDataKey {
  readonly id: bigint;
  readonly sealed: Buffer;
}

/** Data keys held open at once. A day has about one an hour and writer, and events come in the order of their ids, so they alternate. */
const maxDataKeys = 512;

/**
 * Opens sealed fields of one day: vault → private key of the day → data key → field. The private key and the data keys opened
 * last stay in locked memory until it is disposed of, which wipes them; so the vault is asked once a day and not once an event.
 *
 * Whoever uses this has written to the access log before: it does not ask.
 */
export class DayOpener implements Disposable {
  readonly day: Day;
  readonly #table: string;
  readonly #pair: KeyPair;
  /** By id, the one used last at the end. */
  readonly #dataKeys = new Map<bigint, Buffer>();

  private constructor(table: string, day: Day, pair: KeyPair) {
    this.#table = table;
    this.day = day;
    this.#pair = pair;
  }

  /**
   * Asks the vault for the private key of the day.
   * @throws PipelineError KEY_DESTROYED when there is none, and what the vault throws.
   */
  static async of(
    keys: DayPrivateKeys,
    where: { readonly table: string; readonly day: Day; readonly publicKey: Buffer },
  ): Promise<DayOpener> {
    const { table, day, publicKey } = where;
    const privateKey = await keys.dayPrivateKey(day, publicKey);
    if (privateKey === undefined) throw new PipelineError('KEY_DESTROYED', `no private key for ${day}`);
    return new DayOpener(table, day, { publicKey, privateKey });
  }

  /**
   * @returns the plain field, or undefined when it does not open in this cell under this data key: it was moved or altered.
   * @throws PipelineError INTERNAL when the data key does not open with the key of the day.
   */
  open(
    cell: { readonly column: string; readonly eventId: string },
    sealed: Buffer,
    dataKey: SealedDataKey,
  ): string | undefined {
    return openField(sealed, { ...cell, table: this.#table, day: this.day }, this.#dataKey(dataKey));
  }

  /** Wipes every key. */
  [Symbol.dispose](): void {
    wipe(this.#pair.privateKey);
    for (const key of this.#dataKeys.values()) wipe(key);
    this.#dataKeys.clear();
  }

  #dataKey({ id, sealed }: SealedDataKey): Buffer {
    const key = this.#dataKeys.get(id) ?? openSealed(sealed, this.#pair);
    if (key === undefined) {
      throw new PipelineError('INTERNAL', `data key ${id} does not open with the key of ${this.day}`);
    }
    this.#dataKeys.delete(id);
    this.#dataKeys.set(id, key);
    if (this.#dataKeys.size > maxDataKeys) this.#forgetOldest();
    return key;
  }

  #forgetOldest(): void {
    const [oldest] = this.#dataKeys;
    if (oldest === undefined) return;
    wipe(oldest[1]);
    this.#dataKeys.delete(oldest[0]);
  }
}
