import type { TokenEpoch } from '../queries/list-token-epochs.ts';
import { Tokenizer } from '../../shared/crypto/token.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/time.ts';
import type { Peppers } from '../../shared/vault/ports.ts';

/** A pepper that is needed no more is wiped after this long; that no row has old tokens is Postgres's to see to. */
const maxUncheckedMs = 60_000;

/** What makes tokens now: the current epoch's pepper and, while a window is open, the one before. */
export interface Tokenizers {
  readonly current: Tokenizer;
  readonly prior: Tokenizer | undefined;
}

/**
 * Whose peppers mask, as the database last said: read at first use, every minute, and when Postgres has refused a batch for its
 * epochs. Peppers come from the vault once and are wiped when their epoch is over, whoever holds the {@link Tokenizers}: look at
 * `retired` after the last wait before using them.
 */
export class TokenEpochs {
  readonly #list: () => Promise<readonly TokenEpoch[]>;
  readonly #peppers: Peppers;
  readonly #clock: Clock;
  #known: Tokenizers | undefined;
  #checkedAt = 0;
  #pending: Promise<Tokenizers> | undefined;
  #ended = false;

  constructor(options: {
    readonly list: () => Promise<readonly TokenEpoch[]>;
    readonly peppers: Peppers;
    readonly clock: Clock;
  }) {
    this.#list = options.list;
    this.#peppers = options.peppers;
    this.#clock = options.clock;
  }

  /** @throws PipelineError KEY_MISSING when the vault lacks a pepper; whatever database and vault throw. */
  async tokenizers(): Promise<Tokenizers> {
    if (this.#ended) throw new PipelineError('INTERNAL', 'the peppers of this process are wiped');
    const age = this.#clock() - this.#checkedAt;
    if (this.#known !== undefined && age >= 0 && age < maxUncheckedMs) return this.#known;
    this.#pending ??= this.#load().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** What is known is over: the next call reads again. */
  expire(): void {
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  /** Reads again when a minute has passed and peppers are held. */
  async recheck(): Promise<void> {
    if (this.#known !== undefined) await this.tokenizers();
  }

  /** Wipes every pepper, also one that is being read. */
  retireAll(): void {
    this.#ended = true;
    this.#replace(undefined);
  }

  async #load(): Promise<Tokenizers> {
    const now = this.#clock();
    const epochs = await this.#list();
    const current = epochs.find(({ state }) => state === 'current');
    if (current === undefined)
      throw new PipelineError('DATABASE_SCHEMA', 'token_epochs has no current epoch');
    const prior = epochs.find(({ state }) => state === 'prior');
    // A pepper that was read is never forgotten unwiped because the next is missing.
    const priorTokenizer = prior === undefined ? undefined : await this.#tokenizer(prior.epoch);
    const currentTokenizer = await this.#tokenizer(current.epoch).catch((error: unknown) => {
      if (priorTokenizer !== this.#known?.current && priorTokenizer !== this.#known?.prior)
        priorTokenizer?.retire();
      throw error;
    });
    const known = { current: currentTokenizer, prior: priorTokenizer };
    this.#replace(known);
    this.#checkedAt = now;
    if (this.#ended) this.#replace(undefined);
    return known;
  }

  async #tokenizer(epoch: number): Promise<Tokenizer> {
    const known = [this.#known?.current, this.#known?.prior].find((one) => one?.epoch === epoch);
    if (known !== undefined) return known;
    const pepper = await this.#peppers.pepper(epoch);
    if (pepper === undefined) {
      throw new PipelineError('KEY_MISSING', `the vault has no pepper of token epoch ${epoch}`);
    }
    return new Tokenizer(pepper);
  }

  #replace(known: Tokenizers | undefined): void {
    for (const one of [this.#known?.current, this.#known?.prior]) {
      if (one !== undefined && one !== known?.current && one !== known?.prior) one.retire();
    }
    this.#known = known;
  }
}
