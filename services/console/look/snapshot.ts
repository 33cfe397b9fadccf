import type { CalendarDay } from '../../../db/queries/list-calendar.ts';
import type { DeadLetterCode, ErrorCode } from '../../../shared/errors.ts';
import type { Day } from '../../../shared/time.ts';

/*
 * What is seen of a pipeline at one moment: counts, times, codes and coordinates. **Nothing in it is personal, a key or a body**; all of it is
 * JSON. Times are Unix milliseconds, rates a second.
 */

/** One of the things looked at: as it was at `atMs`, or why it could not be looked at. */
export type Part<T> =
  | { readonly ok: true; readonly atMs: number; readonly value: T }
  | { readonly ok: false; readonly atMs: number; readonly code: ErrorCode; readonly reason: string };

export interface QueueLook {
  readonly visible: number;
  readonly inFlight: number;
  readonly delayed: number;
}

export interface PartitionLook {
  readonly partition: number;
  /** The next offset to be written, as text. */
  readonly end: string;
  /** The next that the group will read; null when it has committed none. */
  readonly committed: string | null;
  readonly lag: number;
  /** How long ago the next record to read was sent; null when there is none. */
  readonly oldestSeconds: number | null;
  readonly publishedPerSecond: number | null;
  readonly readPerSecond: number | null;
  /** Which member has it, counted from 1; null: none. */
  readonly member: number | null;
  readonly leader: boolean;
  readonly replicas: number;
  readonly inSync: number;
}

export interface TopicLook {
  readonly topic: string;
  readonly group: string;
  /** Kafka's own word: `Stable`, `Empty`, `PreparingRebalance` … */
  readonly groupState: string;
  readonly members: number;
  readonly lag: number;
  /** Null at the first look: a rate takes two. */
  readonly publishedPerSecond: number | null;
  readonly readPerSecond: number | null;
  readonly partitions: readonly PartitionLook[];
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface MinuteLook {
  readonly atMs: number;
  readonly inserted: number;
  readonly duplicate: number;
  readonly dead: number;
  /** Seconds from SentTimestamp to the commit, of the rows looked at; null: none came, or none was among them. */
  readonly latency: Percentiles | null;
}

export interface RowsLook {
  /** Of the last twenty seconds. */
  readonly rowsPerSecond: number;
  /** The last hour, oldest first, the present minute last; minutes without records too. */
  readonly minutes: readonly MinuteLook[];
  readonly hour: Percentiles | null;
  /** Of the last five minutes. */
  readonly recent: Percentiles | null;
  /** Rows that percentiles are of. */
  readonly sampled: number;
  /** The ledger had more entries in this hour than are read: rows of its beginning are not counted. */
  readonly truncated: boolean;
}

export interface DaysLook {
  readonly today: Day;
  /** Days after today that have a partition, and a key, without a hole. */
  readonly partitionDays: number;
  readonly keyDays: number;
  readonly days: readonly CalendarDay[];
  readonly unfinishedShreds: number;
  readonly lastArchiveMs: number | null;
  readonly lastWalMs: number | null;
  readonly walFailures: number | null;
}

export interface DeadCode {
  readonly code: DeadLetterCode | 'OTHER';
  readonly open: number;
  readonly redriven: number;
  readonly lastFailedMs: number | null;
}

export interface DeadLettersLook {
  readonly topic: string;
  readonly open: number;
  readonly redriven: number;
  /** Open ones that first failed within the last hour. */
  readonly lastHour: number;
  readonly codes: readonly DeadCode[];
  /** Offsets before those that were read: what they hold is not counted. */
  readonly notRead: number;
}

export interface LedgerLook {
  readonly proven: boolean;
  /** Why it is not, a sentence each. */
  readonly problems: readonly string[];
  readonly read: number;
  readonly inserted: number;
  readonly duplicate: number;
  readonly dead: number;
}

export interface DependencyLook {
  readonly name: string;
  readonly up: boolean;
  readonly code: string | null;
  readonly downMs: number | null;
  readonly failures: number;
}

export interface ServiceLook {
  readonly url: string;
  /** `connector`, `writer`, `maintain`; null: it did not answer. */
  readonly service: string | null;
  readonly state: 'ready' | 'waiting' | 'starting' | 'stuck' | 'silent';
  readonly dependencies: readonly DependencyLook[];
  /** What its metrics say, where they are at the same port. */
  readonly queueOldestSeconds: number | null;
  readonly lastMaintainMs: number | null;
}

/** `attention`: it works, and somebody must do something soon. `behind`: what comes waits. `broken`: something stands still, or cannot be seen. */
export type VerdictState = 'well' | 'attention' | 'behind' | 'broken';

export interface Problem {
  /** What it is about. */
  readonly area: 'servers' | 'services' | 'queue' | 'topic' | 'days' | 'ledger' | 'deadLetters';
  readonly state: Exclude<VerdictState, 'well'>;
  /** What is the matter, because of what. */
  readonly what: string;
  readonly todo: string;
}

export interface Verdict {
  readonly state: VerdictState;
  /** One line that says it all. */
  readonly sentence: string;
  readonly problems: readonly Problem[];
}

export interface Looks {
  readonly queue: Part<QueueLook>;
  readonly topic: Part<TopicLook>;
  readonly rows: Part<RowsLook>;
  readonly days: Part<DaysLook>;
  readonly deadLetters: Part<DeadLettersLook>;
  readonly ledger: Part<LedgerLook>;
  readonly services: readonly ServiceLook[];
  /** Sent to the queue, from how it grows and what is taken from it; null: not known yet. */
  readonly sentPerSecond: number | null;
}

export interface Snapshot extends Looks {
  readonly atMs: number;
  readonly verdict: Verdict;
}
