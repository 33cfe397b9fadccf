import { sleep } from '../../shared/lifecycle.ts';
import type { Logger } from '../../shared/log.ts';
import type { Queue } from '../../shared/sqs/ports.ts';
import type { Budget } from './budget.ts';
import type { Counts } from './held.ts';
import type { ConnectorObserver } from './observe.ts';
import type { Pollers } from './pollers.ts';
import type { Visibility } from './visibility.ts';

const intervalMs = 60_000;

/**
 * One line a minute: what was done in it, how many receivers poll, what is held, and how many messages SQS says are waiting. The same question to
 * SQS brings the queue's visibility timeout up to date; when SQS does not answer, the line goes without.
 */
export async function summarise(
  options: {
    queue: Queue;
    counts: Counts;
    budget: Budget;
    pollers: Pollers;
    visibility: Visibility;
    log: Logger;
    /** Told what SQS says. */
    observer: Pick<ConnectorObserver, 'counted'>;
  },
  signal: AbortSignal,
): Promise<void> {
  let before = { ...options.counts };
  for (;;) {
    await sleep(intervalMs, signal);
    if (signal.aborted) return;
    const now = { ...options.counts };
    const attributes = await options.queue.attributes().catch(() => undefined);
    options.observer.counted(attributes);
    if (attributes !== undefined && attributes.visibilityTimeoutSeconds > 0) {
      options.visibility.timeoutSeconds = attributes.visibilityTimeoutSeconds;
    }
    options.log.info(
      {
        received: now.received - before.received,
        published: now.published - before.published,
        deleted: now.deleted - before.deleted,
        returned: now.returned - before.returned,
        expired: now.expired - before.expired,
        unsealable: now.unsealable - before.unsealable,
        held: options.visibility.size,
        polling: options.pollers.polling,
        reservedBytes: options.budget.used.bytes,
        waiting: attributes?.visible,
      },
      'last minute',
    );
    before = now;
  }
}
