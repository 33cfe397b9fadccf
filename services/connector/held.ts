import type { MessageTrace } from './message-traces.ts';

/**
 * What the connector remembers of a message between receive and delete.
 *
 * - `held`: ours, without an acknowledgement from Kafka.
 * - `published`: every in-sync replica has it; only now may it be deleted.
 * - `gone`: handed back, or SQS has taken it back. **Its receipt is never used again.** A copy may still be on its way to
 *   Kafka: the redelivered message is the same event with the same identity, so the second of them changes nothing.
 */
export interface Held {
  readonly receiptHandle: string;
  /** What it takes of the budget. */
  readonly bytes: number;
  readonly receivedAtMs: number;
  /** When its visibility timeout last began anew. */
  invisibleSinceMs: number;
  state: 'held' | 'published' | 'gone';
  /** Of the few that have one. */
  trace: MessageTrace | undefined;
}

/** Since the process began. The same numbers go into the summary of each minute. */
export interface Counts {
  received: number;
  published: number;
  deleted: number;
  /** Handed back with visibility 0: at shutdown, or after an outage of minutes. */
  returned: number;
  /** SQS no longer knew the receipt: the message comes again and changes nothing. */
  expired: number;
  /** Left in the queue because no transit key exists for their day. */
  unsealable: number;
}

export function noCounts(): Counts {
  return { received: 0, published: 0, deleted: 0, returned: 0, expired: 0, unsealable: 0 };
}

/** SQS's limit for a batch call. */
export const batchLimit = 10;

/** `tens([1…23])` → three arrays of 10, 10 and 3. */
export function tens<T>(items: readonly T[]): T[][] {
  const batches: T[][] = [];
  for (let i = 0; i < items.length; i += batchLimit) batches.push(items.slice(i, i + batchLimit));
  return batches;
}
