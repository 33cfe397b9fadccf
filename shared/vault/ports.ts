import type { Day } from '../time.ts';

/**
 * The vault, as each of its users sees it. No user holds more than one of these, and an adapter grants each by its own
 * credential. **A key that is not there is `undefined`; a vault that does not answer throws VAULT_UNAVAILABLE**: the two must
 * never be confused, for one means "dead letter" and the other "wait".
 */

/** For the keeper (`sluice maintain`): puts keys in, cannot read them back. */
export interface KeyKeeper {
  /** Durable when it resolves. Never overwrites: the key is filed under its day and its public half. */
  putDayPrivateKey(day: Day, publicKey: Buffer, privateKey: Buffer): Promise<void>;
  /** Makes the day's symmetric transit key (32 random bytes) unless it exists. */
  ensureTransitKey(day: Day): Promise<void>;
  /** Makes the first token pepper (epoch 1, 32 random bytes) unless one exists. */
  ensurePepper(): Promise<void>;
}

/** For connector and writer. */
export interface TransitKeys {
  transitKey(day: Day): Promise<Buffer | undefined>;
}

export interface Pepper {
  readonly epoch: number;
  readonly key: Buffer;
}

/** For the writer: the pepper of the newest epoch. */
export interface Peppers {
  pepper(): Promise<Pepper | undefined>;
}

/** For the recoverer alone. */
export interface DayPrivateKeys {
  dayPrivateKey(day: Day, publicKey: Buffer): Promise<Buffer | undefined>;
}
