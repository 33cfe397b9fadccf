import { oneAtATime, type Database, type Session } from '../../db/client.ts';
import { noteReplayWorker } from '../../db/queries/replay-workers.ts';
import type { ReplayState } from '../../db/queries/replay-job.ts';
import { PipelineError } from '../../shared/errors.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Outage } from '../../shared/outage.ts';
import { Claims } from './claims.ts';
import type { Governor } from './governor.ts';
import type { PartitionRange } from './offset-ranges.ts';
import { replayRange, type ReplayParts } from './replay-range.ts';

export interface RunParts {
  readonly job: string;
  readonly ranges: readonly PartitionRange[];
  readonly concurrency: number;
  readonly database: Database;
  readonly governor: Governor;
  /** Of the session that holds the claims. */
  readonly outage: Outage;
  readonly worker: string;
  /** How far the live writers are behind; undefined: not looked at. */
  readonly liveLag: (() => Promise<number>) | undefined;
  readonly range: Omit<ReplayParts, 'ready'>;
  /** Told about twice a second. */
  readonly onProgress: (positions: readonly bigint[], state: ReplayState) => void;
}

/** `ended`: every range is done, and this process is the one to finish the job. */
export type Ended = 'ended' | 'done' | 'cancelled' | 'stopped';

const beatMs = 500;
const lagEveryMs = 1_000;
/** Ranges that others work on are looked at again after this long. */
const waitMs = 300;

/**
 * Works on a job until it is done, cancelled, or `stop` aborts. While it is paused nothing is read, and the claims are kept. `finish` runs in the one process
 * that finishes the job, while it holds the claim of that.
 *
 * @throws PipelineError of action `stop`
 */
export async function runJob(
  parts: RunParts,
  signals: { readonly stop: AbortSignal; readonly force: AbortSignal },
  finish: () => Promise<void>,
): Promise<Ended> {
  for (;;) {
    const ended = await parts.outage
      .waitOut(
        () => parts.database.withSession((session) => new Work(parts, session, signals, finish).run()),
        signals.stop,
      )
      .catch((error: unknown): Ended => {
        if (error instanceof PipelineError && error.action === 'retry' && signals.stop.aborted)
          return 'stopped';
        throw error;
      });
    if (ended !== undefined) return ended;
  }
}

/** What is done while one session holds the claims. */
class Work {
  readonly #parts: RunParts;
  readonly #session: Session;
  readonly #signals: { readonly stop: AbortSignal; readonly force: AbortSignal };
  readonly #finish: () => Promise<void>;
  readonly #claims: Claims;
  /** The session broke, or the job is over: no lane goes on. */
  readonly #over = new AbortController();
  #state: ReplayState = 'running';

  constructor(
    parts: RunParts,
    session: Session,
    signals: { readonly stop: AbortSignal; readonly force: AbortSignal },
    finish: () => Promise<void>,
  ) {
    this.#parts = parts;
    this.#session = oneAtATime(session);
    this.#signals = signals;
    this.#finish = finish;
    this.#claims = new Claims(this.#session, parts.job, parts.ranges);
  }

  /** @throws PipelineError: when the session broke, an outage */
  async run(): Promise<Ended> {
    const ended = new AbortController();
    const heart = this.#beat(ended.signal).finally(() => this.#over.abort());
    // Thrown where it is waited for.
    heart.catch(() => {});
    const lag = this.#watchLag(ended.signal);
    try {
      const complete = await this.#lanes();
      // The session broke: its error is the one to tell.
      if (!complete && this.#over.signal.aborted) await heart;
      return await this.#outcome(complete);
    } finally {
      ended.abort();
      await Promise.allSettled([heart, lag]);
    }
  }

  /** Whether every range is done. */
  async #lanes(): Promise<boolean> {
    const lanes = Array.from({ length: this.#parts.concurrency }, () => this.#lane());
    try {
      return (await Promise.all(lanes)).every(Boolean);
    } finally {
      this.#over.abort();
      await Promise.allSettled(lanes);
    }
  }

  async #lane(): Promise<boolean> {
    const signal = AbortSignal.any([this.#signals.stop, this.#over.signal]);
    while (!signal.aborted) {
      const claim = await this.#claims.next();
      if (claim === 'done') return true;
      if (claim === 'taken') {
        await sleep(waitMs, signal);
        continue;
      }
      await replayRange({ ...this.#parts.range, ready: (until) => this.#ready(until) }, claim.range, {
        signal,
        force: this.#signals.force,
      });
      await this.#claims.release(claim);
    }
    return false;
  }

  async #outcome(complete: boolean): Promise<Ended> {
    while (!this.#signals.stop.aborted) {
      if (this.#state === 'cancelled' || this.#state === 'done') return this.#state;
      if (complete && this.#state === 'running' && (await this.#claims.claimEnd())) {
        await this.#finish();
        return 'ended';
      }
      await this.#look();
      await sleep(waitMs, this.#signals.stop);
    }
    return 'stopped';
  }

  async #ready(signal: AbortSignal): Promise<void> {
    while (this.#state === 'paused' && !signal.aborted) await sleep(100, signal);
  }

  /** Says that we are here, learns the job's state, and how long that took. @throws PipelineError of the database */
  async #look(): Promise<void> {
    const { job, worker, governor } = this.#parts;
    const { perSecond } = governor;
    const began = performance.now();
    const { rows } = await this.#session.execute(
      noteReplayWorker(job, worker, {
        perSecond: perSecond === Infinity ? null : Math.round(perSecond),
        heldBy: governor.heldBy ?? null,
      }),
    );
    governor.latencySeen(performance.now() - began);
    this.#state = rows[0]?.state ?? 'cancelled';
  }

  async #beat(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await this.#look();
      if (this.#state === 'cancelled' || this.#state === 'done') return;
      this.#parts.onProgress(await this.#claims.positions(), this.#state);
      await sleep(beatMs, ended);
    }
  }

  async #watchLag(ended: AbortSignal): Promise<void> {
    const { liveLag, governor } = this.#parts;
    if (liveLag === undefined) return;
    while (!ended.aborted) {
      // What cannot be seen now is seen a second later; until then the pace is as it was.
      const lag = await liveLag().catch(() => undefined);
      if (lag !== undefined) governor.lagSeen(lag);
      await sleep(lagEveryMs, ended);
    }
  }
}
