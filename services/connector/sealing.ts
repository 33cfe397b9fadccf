import type { TransitIdentity, TransitSealer } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import { dayOf, horizonDays, type Clock } from '../../shared/time.ts';
import type { Outage } from '../../shared/outage.ts';

/** What the connector uses of {@link TransitSealer}. */
export type Sealer = Pick<TransitSealer, 'seal' | 'prepare'>;

/**
 * - a Buffer: the value.
 * - `stopped`: the key had not come when `stop` aborted.
 * - `unsealable`: no key of that day exists and none will be made, for the day lies outside the horizon.
 */
export type Sealed = Buffer | 'stopped' | 'unsealable';

/**
 * Seals bodies in transit, waiting for the key of a day where it has to. A vault that does not answer, and a key that
 * maintenance has not made yet, are outages. Without a sealer (TRANSIT_SEALING=off) the value is the body.
 */
export class Sealing {
  readonly #sealer: Sealer | undefined;
  readonly #outage: Outage;
  readonly #clock: Clock;

  constructor(options: { sealer: Sealer | undefined; outage: Outage; clock: Clock }) {
    this.#sealer = options.sealer;
    this.#outage = options.outage;
    this.#clock = options.clock;
  }

  /** The usual case: no waiting, no promise. Undefined while the key is not loaded. */
  sealNow(body: Buffer, identity: TransitIdentity): Buffer | undefined {
    return this.#sealer === undefined ? body : this.#sealer.seal(body, identity);
  }

  /** @throws PipelineError VAULT_FORBIDDEN, VAULT_NOT_FOUND */
  async sealWhenReady(body: Buffer, identity: TransitIdentity, stop: AbortSignal): Promise<Sealed> {
    for (;;) {
      const sealed = this.sealNow(body, identity);
      if (sealed !== undefined) return sealed;
      const prepared = await this.prepare(identity.sentAtMs, stop);
      if (prepared !== 'ready') return prepared;
    }
  }

  /** Loads the key for messages sent at `sentAtMs`. @throws PipelineError VAULT_FORBIDDEN, VAULT_NOT_FOUND */
  async prepare(sentAtMs: number, stop: AbortSignal): Promise<'ready' | 'stopped' | 'unsealable'> {
    const day = dayOf(sentAtMs);
    const sealer = this.#sealer;
    if (sealer === undefined) return 'ready';
    let unsealable = false;
    try {
      await this.#outage.waitOut(async () => {
        try {
          await sealer.prepare(day);
        } catch (error) {
          const missing = error instanceof PipelineError && error.code === 'KEY_MISSING';
          if (!missing || horizonDays(dayOf(this.#clock())).includes(day)) throw error;
          unsealable = true;
        }
      }, stop);
    } catch (error) {
      if (stop.aborted && error instanceof PipelineError && error.action === 'retry') return 'stopped';
      throw error;
    }
    return unsealable ? 'unsealable' : 'ready';
  }
}
