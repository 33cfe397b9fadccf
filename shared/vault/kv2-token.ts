import { PipelineError } from '../errors.ts';
import type { Kv2Http } from './kv2-http.ts';
import { isKnown, logIn, renew, type Login, type VaultToken } from './kv2-login.ts';

const minuteMs = 60_000;
/** Long before setTimeout's limit of 24 days. */
const maxDelayMs = 1_440 * minuteMs;

/** Time as the tokens see it. `later` returns what cancels it. */
export interface Timing {
  now(): number;
  later(run: () => void, ms: number): () => void;
}

export const realTime: Timing = {
  now: () => performance.now(),
  later(run, ms) {
    // A process that has nothing else to do ends, and its token with it.
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};

interface Held {
  readonly token: string;
  /** Of {@link Timing.now}; undefined: it does not expire. */
  readonly expiresAt: number | undefined;
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
}

/**
 * The token of one credential: fetched at first use, renewed at two thirds of its life, replaced when it can be renewed no longer or is
 * refused. **At most one login is under way**, however many ask. A token that was given to us cannot be replaced, only renewed; one from
 * a file is read again.
 */
export class TokenHolder {
  readonly #http: Kv2Http;
  readonly #login: Login;
  readonly #time: Timing;
  #held: Held | undefined;
  #fetching: Promise<Held> | undefined;
  #cancel: () => void = () => {};
  /** The life of the token when it was new: renewals that give much less have reached its maximum. */
  #fullTtlMs = 0;

  constructor(http: Kv2Http, login: Login, time: Timing = realTime) {
    this.#http = http;
    this.#login = login;
    this.#time = time;
  }

  /** @throws PipelineError VAULT_FORBIDDEN, VAULT_UNAVAILABLE, CONFIG_INVALID for a file that is not there */
  async token(): Promise<string> {
    const held = this.#held;
    if (held !== undefined && !this.#isEnding(held)) return held.token;
    return (await this.#fetch()).token;
  }

  /**
   * Another token after `refused` was answered with 403, or undefined when it is not the token that is at fault, or we have no
   * other.
   */
  async instead(refused: string): Promise<string | undefined> {
    const held = this.#held;
    if (held !== undefined && held.token !== refused) return held.token;
    if (this.#login.by === 'token' || (await isKnown(this.#http, refused))) return undefined;
    // Another request may have replaced it while we asked.
    const now = this.#held;
    const { token } = now === undefined || now === held ? await this.#fetch() : now;
    return token === refused ? undefined : token;
  }

  /** In its last moments, and another can be had. */
  #isEnding({ expiresAt, ttlMs }: Held): boolean {
    if (expiresAt === undefined || ttlMs === undefined || this.#login.by === 'token') return false;
    return this.#time.now() >= expiresAt - Math.min(5_000, ttlMs / 10);
  }

  #fetch(): Promise<Held> {
    this.#fetching ??= (async () => {
      try {
        const startedAt = this.#time.now();
        const fetched = await logIn(this.#http, this.#login);
        this.#fullTtlMs = fetched.ttlMs ?? 0;
        return this.#hold(fetched, startedAt);
      } finally {
        this.#fetching = undefined;
      }
    })();
    return this.#fetching;
  }

  #hold({ token, ttlMs, renewable }: VaultToken, since: number): Held {
    const held = { token, ttlMs, renewable, expiresAt: ttlMs === undefined ? undefined : since + ttlMs };
    this.#held = held;
    this.#cancel();
    // At least a second: the last renewals before a token's maximum give ever less.
    if (ttlMs !== undefined) this.#prolongIn(Math.max((ttlMs * 2) / 3, 1_000));
    return held;
  }

  #prolongIn(ms: number): void {
    // Who opens the vault anew for every run leaves the old one behind: its token is not kept alive for nobody.
    const self = new WeakRef(this);
    const run = () => {
      const holder = self.deref();
      if (holder !== undefined) void holder.#prolong();
    };
    this.#cancel = this.#time.later(run, Math.min(ms, maxDelayMs));
  }

  /** Never throws: what failed here fails again, and is told, when the token is needed. */
  async #prolong(): Promise<void> {
    const held = this.#held;
    if (held?.expiresAt === undefined) return;
    const startedAt = this.#time.now();
    try {
      const renewed = held.renewable ? await renew(this.#http, held.token) : undefined;
      // Somebody logged in while we waited.
      if (this.#held !== held) return;
      const lasts = renewed !== undefined && (renewed.ttlMs ?? Infinity) > this.#fullTtlMs / 3;
      if (renewed !== undefined && (lasts || this.#login.by === 'token')) this.#hold(renewed, startedAt);
      else if (this.#login.by !== 'token') await this.#fetch();
    } catch (error) {
      const left = held.expiresAt - this.#time.now();
      if (!(error instanceof PipelineError) || error.action !== 'retry' || left <= 0) return;
      this.#prolongIn(Math.min(Math.max(left / 10, 100), minuteMs / 2));
    }
  }
}
