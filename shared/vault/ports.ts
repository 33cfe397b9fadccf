import type { Day } from '../time.ts';

/**
 * The vault, as each of its users sees it. No user holds more than one of these, and a vault grants each by its own
 * credential. **A key that is not there is `undefined`; a vault that does not answer throws VAULT_UNAVAILABLE**: the two must
 * never be confused, for one means "dead letter" and the other "wait".
 */

/** For the keeper (`sluice maintain`, `sluice tokens rotate`): puts keys in, cannot read them back. */
export interface KeyKeeper {
  /** Durable when it resolves. Never overwrites: the key is filed under its day and its public half, sealed to the recoverer. */
  putDayPrivateKey(day: Day, publicKey: Buffer, privateKey: Buffer): Promise<void>;
  /** Makes the day's symmetric transit key (32 random bytes) unless it exists. */
  ensureTransitKey(day: Day): Promise<void>;
  /** Makes the token pepper of an epoch (32 random bytes) unless it exists. */
  ensurePepper(epoch: number): Promise<void>;
  /** The days that have a transit key, oldest first. */
  transitDays(): Promise<Day[]>;
  /** Once nothing that was sealed under it is left: bodies of that day can never be read again. */
  destroyTransitKey(day: Day): Promise<void>;
}

/** For connector and writer, and for the recoverer who looks into a topic. */
export interface TransitKeys {
  transitKey(day: Day): Promise<Buffer | undefined>;
}

export interface Pepper {
  readonly epoch: number;
  readonly key: Buffer;
}

/** For the writer and the tokenizer. Which epochs count, the database says (`token_epochs`). */
export interface Peppers {
  pepper(epoch: number): Promise<Pepper | undefined>;
}

/** For the recoverer alone: wherever the key lies, with the live ones or archived. */
export interface DayPrivateKeys {
  dayPrivateKey(day: Day, publicKey: Buffer): Promise<Buffer | undefined>;
}

export type KeyPlace = 'day' | 'archive';

/** For the archivist: moves what it cannot open. */
export interface KeyMover {
  /**
   * Moves every private key of a day, each readable at its new place before the old one is destroyed, so that a crash leaves it
   * in one place or in both; call again to finish. Resolves with how many keys of the day now lie at `to`.
   */
  moveDayKeys(day: Day, to: KeyPlace): Promise<number>;
}

/** For the shredder: destroys what it cannot read. */
export interface KeyDestroyer {
  /** Destroys every private key of a day, live and archived, all versions. Resolves with how many there were. */
  destroyDayKeys(day: Day): Promise<number>;
  destroyTransitKey(day: Day): Promise<void>;
  destroyPepper(epoch: number): Promise<void>;
}

/** Names and places of keys, never their content: for `sluice keys` and for proof that something is gone. */
export interface KeyInventory {
  /** Every private key there is; `fingerprint` is {@link fingerprintOf} its public half. */
  dayKeys(): Promise<{ day: Day; fingerprint: string; place: KeyPlace }[]>;
  transitDays(): Promise<Day[]>;
  pepperEpochs(): Promise<number[]>;
}
