import { PipelineError } from '../../shared/errors.ts';
import type { DeadRecord } from '../../db/rows/encode.ts';

export interface DeadRatioLimits {
  /** The share of dead letters that is too much, above 0; 1: any share will do. */
  readonly maxRatio: number;
  /** Counted over this many of the latest records, give or take a batch. */
  readonly windowRecords: number;
  /** Of fewer records than these nothing is concluded. */
  readonly minRecords: number;
}

/** None is too large. */
export const noDeadRatio: DeadRatioLimits = { maxRatio: 1, windowRecords: 1, minRecords: 1 };

/** Of the latest records of a partition. */
export interface DeadCount {
  readonly records: number;
  readonly dead: number;
}

interface Counted {
  readonly partition: number;
  readonly count: DeadCount;
  /** By a process before this one. */
  readonly past: boolean;
}

/** One batch on its way. */
export interface BatchRatio {
  /**
   * These are about to become dead letters.
   * @throws PipelineError DEAD_LETTER_RATE when that would be too many: publish none of them, commit nothing
   */
  admit(dead: readonly DeadRecord[]): void;
  /** The batch is durable. */
  done(): void;
}

/**
 * The breaker against a bad deploy, of ours or of a producer: when too large a share of what is read would become dead letters, the
 * writer stops **before it publishes them**, with its offsets where they were, instead of draining the topic into the dead letters.
 *
 * **What it has counted outlives the process**, beside the committed offsets (see {@link DeadRatio.note}): a supervisor that starts the writer
 * again and again would otherwise let through what is below `minRecords` each time. A past that was bad does not stop a writer that is
 * not: the share must be too large with it, and too large among the records of this process alone.
 */
export class DeadRatio {
  readonly #limits: DeadRatioLimits;
  readonly #window: Counted[] = [];
  readonly #all = { records: 0, dead: 0 };
  /** Of this process. */
  readonly #own = { records: 0, dead: 0 };
  readonly #byPartition = new Map<number, { records: number; dead: number }>();

  /** `past` is what the notes of the group's offsets say. */
  constructor(limits: DeadRatioLimits, past: ReadonlyMap<number, DeadCount> = new Map()) {
    this.#limits = limits;
    if (limits.maxRatio < 1) for (const [partition, count] of past) this.#add(partition, count, true);
  }

  /** `records`: how many of each partition. */
  batch(records: ReadonlyMap<number, number>): BatchRatio {
    const size = [...records.values()].reduce((sum, n) => sum + n, 0);
    const dead = new Map<number, number>();
    let deadNow = 0;
    return {
      admit: (more) => {
        for (const { partition } of more) dead.set(partition, (dead.get(partition) ?? 0) + 1);
        deadNow += more.length;
        const all = { records: this.#all.records + size, dead: this.#all.dead + deadNow };
        const own = { records: this.#own.records + size, dead: this.#own.dead + deadNow };
        const { maxRatio, minRecords } = this.#limits;
        const tooMany = (count: DeadCount) => count.dead > maxRatio * count.records;
        if (all.records < minRecords || !tooMany(all) || !tooMany(own)) return;
        throw new PipelineError('DEAD_LETTER_RATE', describe(all, own, maxRatio, more));
      },
      done: () => {
        for (const [partition, n] of records) {
          this.#add(partition, { records: n, dead: dead.get(partition) ?? 0 }, false);
        }
      },
    };
  }

  /**
   * To be committed with the partition's offset: `"dead=12/4000"`, twelve of its 4,000 records in the window. Undefined where any share will
   * do: who lets everything through makes a new beginning for those after it.
   */
  note(partition: number): string | undefined {
    if (this.#limits.maxRatio >= 1) return undefined;
    const { dead, records } = this.#partition(partition);
    return `dead=${dead}/${records}`;
  }

  #add(partition: number, count: DeadCount, past: boolean): void {
    const entry = { partition, count, past };
    this.#window.push(entry);
    this.#count(entry, 1);
    for (let first = this.#window[0]; first !== undefined; first = this.#window[0]) {
      if (this.#all.records - first.count.records < this.#limits.windowRecords) return;
      this.#window.shift();
      this.#count(first, -1);
    }
  }

  #count({ partition, count: { records, dead }, past }: Counted, sign: 1 | -1): void {
    for (const total of [this.#all, this.#partition(partition), ...(past ? [] : [this.#own])]) {
      total.records += sign * records;
      total.dead += sign * dead;
    }
  }

  #partition(partition: number): { records: number; dead: number } {
    const known = this.#byPartition.get(partition);
    if (known !== undefined) return known;
    const none = { records: 0, dead: 0 };
    this.#byPartition.set(partition, none);
    return none;
  }
}

/** What notes say, by partition; those that are none of ours say nothing. */
export function pastOf(notes: ReadonlyMap<number, string>): Map<number, DeadCount> {
  const past = new Map<number, DeadCount>();
  for (const [partition, note] of notes) {
    const [, dead, records] = /^dead=(\d{1,12})\/(\d{1,12})$/.exec(note) ?? [];
    if (dead === undefined || records === undefined || Number(dead) > Number(records)) continue;
    past.set(partition, { records: Number(records), dead: Number(dead) });
  }
  return past;
}

/**
 * `"512 of the last 1,000 records are dead letters (51 %, allowed are 20 %), most of these MESSAGE_SHAPE at user_id"`, and how many of them
 * another process has counted.
 */
function describe(all: DeadCount, own: DeadCount, maxRatio: number, latest: readonly DeadRecord[]): string {
  const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;
  const n = (value: number) => value.toLocaleString('en-US');
  const share = `${percent(all.dead / all.records)}, allowed are ${percent(maxRatio)}`;
  const before = all.dead > own.dead ? `; ${n(all.dead - own.dead)} of them came before this start` : '';
  return `${n(all.dead)} of the last ${n(all.records)} records are dead letters (${share}), most of these ${commonest(latest)}${before}`;
}

function commonest(dead: readonly DeadRecord[]): string {
  const counts = new Map<string, number>();
  for (const { reason } of dead) {
    const name = reason.field === undefined ? reason.code : `${reason.code} at ${reason.field}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 'none';
}
