import type { DeadLetterCode } from '../../shared/errors.ts';
import { PipelineError } from '../../shared/errors.ts';
import { FieldSealer } from '../../shared/crypto/field.ts';
import { randomKey, sealToPublicKey } from '../../shared/crypto/sealed-box.ts';
import { addDays, dayOf, horizon, type Clock, type Day } from '../../shared/time.ts';

/** A data key lives an hour at most: what a thief of this process's memory can open is that hour's rows. */
const maxAgeMs = 3_600_000;
/** Far below where random 192-bit nonces or the cipher would wear out. */
const maxSeals = 2 ** 31;

/** Where day keys come from and data keys go to (the database, seen by the writer's role). */
export interface KeyStore {
  /** The public half of the day's keypair, or undefined when that day has none. */
  dayPublicKey(day: Day): Promise<Buffer | undefined>;
  /** Stores a sealed data key durably and returns its id. */
  insertDataKey(day: Day, sealedDek: Buffer): Promise<bigint>;
}

/**
 * The data keys of this process, one a day of events. **A data key is durable, sealed to its day's public key, before it seals
 * anything**, and is wiped when it is an hour old: from then on only the day's private key opens what it sealed. Never another
 * day's key: a day without one is an outage inside the horizon and a dead letter outside it.
 */
export class DataKeys {
  readonly #store: KeyStore;
  readonly #table: string;
  readonly #clock: Clock;
  readonly #current = new Map<Day, { sealer: FieldSealer; expiresAt: number }>();

  constructor(options: { store: KeyStore; table: string; clock: Clock }) {
    this.#store = options.store;
    this.#table = options.table;
    this.#clock = options.clock;
  }

  /**
   * A sealer for the day, or the code under which that day's records are dead letters. Good for the batch at hand: ask again
   * for the next.
   * @throws PipelineError KEY_MISSING inside the horizon; whatever the store throws.
   */
  async sealerFor(day: Day): Promise<FieldSealer | DeadLetterCode> {
    this.#retireExpired();
    const current = this.#current.get(day);
    if (current !== undefined) return current.sealer;
    const publicKey = await this.#store.dayPublicKey(day);
    if (publicKey === undefined) return this.#withoutKey(day);
    const key = randomKey();
    const dekId = await this.#store.insertDataKey(day, sealToPublicKey(key, publicKey));
    const sealer = new FieldSealer({ dekId, day, table: this.#table, key });
    this.#current.set(day, { sealer, expiresAt: this.#clock() + maxAgeMs });
    return sealer;
  }

  /** Wipes every key. */
  retireAll(): void {
    for (const { sealer } of this.#current.values()) sealer.retire();
    this.#current.clear();
  }

  #withoutKey(day: Day): DeadLetterCode {
    const today = dayOf(this.#clock());
    if (day < addDays(today, -horizon.daysBack)) return 'PARTITION_ARCHIVED';
    if (day > addDays(today, horizon.daysAhead)) return 'DAY_OUT_OF_RANGE';
    throw new PipelineError('KEY_MISSING', `no day key for ${day}`);
  }

  #retireExpired(): void {
    const now = this.#clock();
    for (const [day, { sealer, expiresAt }] of this.#current) {
      if (now < expiresAt && expiresAt - now <= maxAgeMs && sealer.seals < maxSeals) continue;
      sealer.retire();
      this.#current.delete(day);
    }
  }
}
