import type { DeadLetterCode } from '../../shared/errors.ts';
import { PipelineError } from '../../shared/errors.ts';
import { FieldSealer } from '../../shared/crypto/field.ts';
import { randomKey, sealToPublicKey, wipe } from '../../shared/crypto/sealed-box.ts';
import { addDays, dayOf, horizon, type Clock, type Day } from '../../shared/time.ts';

/** A data key lives an hour at most: what a thief of this process's memory can open is that hour's rows. */
const maxAgeMs = 3_600_000;
/** Far below where random 192-bit nonces or the cipher would wear out. */
const maxSeals = 2 ** 31;
/** A day that is shredded is sealed to no more after this long. */
const maxUncheckedMs = 60_000;

export interface DayKey {
  readonly publicKey: Buffer;
  /** Its private half is gone for good. */
  readonly destroyed: boolean;
  /** Its rows lie in the archive. */
  readonly archived?: boolean;
}

/** Where day keys come from and data keys go to (the database, seen by the writer's role). */
export interface KeyStore {
  /** The day's key, or undefined when that day has none. */
  dayKey(day: Day): Promise<DayKey | undefined>;
  /** Stores a sealed data key durably and returns its id. */
  insertDataKey(day: Day, sealedDek: Buffer): Promise<bigint>;
}

interface Current {
  readonly sealer: FieldSealer;
  readonly expiresAt: number;
  /** When the day was last seen not to be shredded. */
  checkedAt: number;
}

/**
 * The data keys of this process, one a day of events. **A data key is durable, sealed to its day's public key, before it seals
 * anything**, and is wiped when it is an hour old: from then on only the day's private key opens what it sealed. Never another
 * day's key: a day without one is an outage inside the horizon and a dead letter outside it, and so is a day that was shredded.
 *
 * A sealer that was handed out is retired like any other: look at {@link FieldSealer.retired} after the last wait before using it.
 */
export class DataKeys {
  readonly #store: KeyStore;
  readonly #table: string;
  readonly #clock: Clock;
  readonly #maxSeals: number;
  readonly #current = new Map<Day, Current>();
  readonly #pending = new Map<Day, Promise<FieldSealer | DeadLetterCode>>();
  #lastLook = 0;
  #ended = false;

  constructor(options: { store: KeyStore; table: string; clock: Clock; maxSeals?: number }) {
    this.#store = options.store;
    this.#table = options.table;
    this.#clock = options.clock;
    this.#maxSeals = options.maxSeals ?? maxSeals;
  }

  /**
   * A sealer for the day, or the code under which that day's records are dead letters. Good for the batch at hand: ask again
   * for the next.
   * @throws PipelineError KEY_MISSING inside the horizon; whatever the store throws.
   */
  async sealerFor(day: Day): Promise<FieldSealer | DeadLetterCode> {
    if (this.#ended) throw new PipelineError('INTERNAL', 'the data keys of this process are wiped');
    this.retireExpired();
    const current = this.#current.get(day);
    if (current !== undefined && this.#clock() - current.checkedAt < maxUncheckedMs) return current.sealer;
    // One at a time a day: of two keys made at once, one would be forgotten and never wiped.
    let pending = this.#pending.get(day);
    if (pending === undefined) {
      pending = this.#look(day).finally(() => this.#pending.delete(day));
      this.#pending.set(day, pending);
    }
    return pending;
  }

  /** Wipes keys that have reached their age or count. Cheap: a process calls it every second, for no record may come. */
  retireExpired(): void {
    const now = this.#clock();
    // Set back, the clock no longer tells how old a key is.
    const setBack = now < this.#lastLook;
    this.#lastLook = now;
    for (const [day, { sealer, expiresAt }] of this.#current) {
      if (setBack || now >= expiresAt || sealer.seals >= this.#maxSeals) this.#retire(day);
    }
  }

  /** Looks again at the days that have a data key and have not been looked at for a minute; the key of a shredded one is wiped. */
  async recheck(): Promise<void> {
    this.retireExpired();
    const now = this.#clock();
    for (const [day, { checkedAt }] of this.#current) {
      if (now - checkedAt >= maxUncheckedMs) await this.sealerFor(day);
    }
  }

  /** Wipes every key, also one that is being made. */
  retireAll(): void {
    this.#ended = true;
    for (const day of this.#current.keys()) this.#retire(day);
  }

  async #look(day: Day): Promise<FieldSealer | DeadLetterCode> {
    const found = await this.#store.dayKey(day);
    if (found === undefined) return this.#withoutKey(day);
    if (found.destroyed) {
      this.#retire(day);
      return 'DAY_SHREDDED';
    }
    if (found.archived === true) {
      this.#retire(day);
      return 'PARTITION_ARCHIVED';
    }
    this.retireExpired();
    const now = this.#clock();
    const current = this.#current.get(day);
    if (current === undefined) return this.#make(day, found.publicKey, now);
    current.checkedAt = now;
    return current.sealer;
  }

  async #make(day: Day, publicKey: Buffer, now: number): Promise<FieldSealer> {
    const key = randomKey();
    try {
      const dekId = await this.#store.insertDataKey(day, sealToPublicKey(key, publicKey));
      const sealer = new FieldSealer({ dekId, day, table: this.#table, key });
      // Its hour began when it was made, however long the database took.
      this.#current.set(day, { sealer, expiresAt: now + maxAgeMs, checkedAt: now });
      this.retireExpired();
      if (this.#ended) this.#retire(day);
      return sealer;
    } catch (error) {
      wipe(key);
      throw error;
    }
  }

  #retire(day: Day): void {
    this.#current.get(day)?.sealer.retire();
    this.#current.delete(day);
  }

  #withoutKey(day: Day): DeadLetterCode {
    const today = dayOf(this.#clock());
    if (day < addDays(today, -horizon.daysBack)) return 'PARTITION_ARCHIVED';
    if (day > addDays(today, horizon.daysAhead)) return 'DAY_OUT_OF_RANGE';
    throw new PipelineError('KEY_MISSING', `no day key for ${day}`);
  }
}
