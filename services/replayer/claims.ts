import type { Session } from '../../db/client.ts';
import { claimReplayRange, releaseReplayRange } from '../../db/queries/claim-replay-range.ts';
import { replayPositions } from '../../db/queries/replay-positions.ts';
import type { PartitionRange } from './offset-ranges.ts';

/** A range of a plan that is this process's, from its position on. */
export interface Claim {
  readonly index: number;
  readonly range: PartitionRange;
}

/**
 * Who works on which range: an advisory lock each, on one session, which ends with its process. **That two never work on one range is for speed
 * only**: a session may end unnoticed, and then the ledger's key lets one of them go on.
 */
export class Claims {
  readonly #session: Session;
  readonly #job: string;
  readonly #ranges: readonly PartitionRange[];
  readonly #mine = new Set<number>();

  constructor(session: Session, job: string, ranges: readonly PartitionRange[]) {
    this.#session = session;
    this.#job = job;
    this.#ranges = ranges;
  }

  /** How far each range has come, whoever did it. @throws PipelineError of the database */
  async positions(): Promise<bigint[]> {
    const { rows } = await this.#session.execute(replayPositions(this.#job, this.#ranges));
    return rows.map(({ next }) => BigInt(next));
  }

  /** A range with something left that is nobody's; `taken`: there are only others'; `done`: nothing is left. @throws PipelineError */
  async next(): Promise<Claim | 'taken' | 'done'> {
    const left = this.#left(await this.positions());
    for (const { index } of left) {
      if (this.#mine.has(index)) continue;
      this.#mine.add(index);
      const claim = await this.#claim(index).catch((error: unknown) => {
        this.#mine.delete(index);
        throw error;
      });
      if (claim !== undefined) return claim;
      this.#mine.delete(index);
    }
    return left.length === 0 ? 'done' : 'taken';
  }

  async release({ index }: Claim): Promise<void> {
    await this.#session.execute(releaseReplayRange(this.#job, index));
    this.#mine.delete(index);
  }

  /** Whether this process is the one to finish the job. */
  async claimEnd(): Promise<boolean> {
    const { rows } = await this.#session.execute(claimReplayRange(this.#job, -1));
    return rows[0]?.claimed === true;
  }

  async #claim(index: number): Promise<Claim | undefined> {
    const { rows } = await this.#session.execute(claimReplayRange(this.#job, index));
    if (rows[0]?.claimed !== true) return undefined;
    // Whoever had it may have come further meanwhile.
    const claim = this.#left(await this.positions()).find((one) => one.index === index);
    if (claim === undefined) await this.#session.execute(releaseReplayRange(this.#job, index));
    return claim;
  }

  #left(positions: readonly bigint[]): Claim[] {
    return this.#ranges.flatMap((range, index) => {
      const from = positions[index] ?? range.from;
      return from < range.to ? [{ index, range: { ...range, from } }] : [];
    });
  }
}
