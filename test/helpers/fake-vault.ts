import { PipelineError, type ErrorCode } from '../../shared/errors.ts';
import { randomKey } from '../../shared/crypto/sealed-box.ts';
import type { DayPrivateKeys, KeyKeeper, Pepper, Peppers, TransitKeys } from '../../shared/vault/ports.ts';
import type { Day } from '../../shared/time.ts';

/** A vault in memory, all ports in one; passes the conformance suite. */
export class FakeVault implements KeyKeeper, TransitKeys, Peppers, DayPrivateKeys {
  readonly dayKeys = new Map<string, Buffer>();
  readonly transitKeys = new Map<Day, Buffer>();
  readonly peppers = new Map<number, Buffer>();
  /** While set, every call throws it. */
  failure: ErrorCode | undefined;

  async putDayPrivateKey(day: Day, publicKey: Buffer, privateKey: Buffer): Promise<void> {
    this.#answer();
    const name = nameOf(day, publicKey);
    // A copy: the caller wipes its own.
    if (!this.dayKeys.has(name)) this.dayKeys.set(name, Buffer.from(privateKey));
  }

  async dayPrivateKey(day: Day, publicKey: Buffer): Promise<Buffer | undefined> {
    this.#answer();
    return this.dayKeys.get(nameOf(day, publicKey));
  }

  async ensureTransitKey(day: Day): Promise<void> {
    this.#answer();
    if (!this.transitKeys.has(day)) this.transitKeys.set(day, randomKey());
  }

  async transitKey(day: Day): Promise<Buffer | undefined> {
    this.#answer();
    return this.transitKeys.get(day);
  }

  async ensurePepper(): Promise<void> {
    this.#answer();
    if (this.peppers.size === 0) this.peppers.set(1, randomKey());
  }

  async pepper(): Promise<Pepper | undefined> {
    this.#answer();
    const epoch = Math.max(0, ...this.peppers.keys());
    const key = this.peppers.get(epoch);
    return key === undefined ? undefined : { epoch, key };
  }

  #answer(): void {
    if (this.failure !== undefined) throw new PipelineError(this.failure);
  }
}

function nameOf(day: Day, publicKey: Buffer): string {
  return `${day} ${publicKey.toString('hex')}`;
}
