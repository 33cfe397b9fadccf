import { transitOverheadBytes } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { OutgoingRecord } from '../../shared/kafka/ports.ts';
import { passedLarge } from '../../shared/large-garbage.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Queue, QueueMessage } from '../../shared/sqs/ports.ts';
import type { Clock } from '../../shared/time.ts';
import { Admission, overheadBytes, type RecentSizes } from './admission.ts';
import type { Backlog } from './backlog.ts';
import type { Budget } from './budget.ts';
import type { Counts, Held } from './held.ts';
import type { MessageEnd } from './message-traces.ts';
import type { ConnectorObserver } from './observe.ts';
import type { Outage } from '../../shared/outage.ts';
import type { Pollers } from './pollers.ts';
import type { Sealing } from './sealing.ts';
import { toEnvelope } from './to-record.ts';
import type { Visibility } from './visibility.ts';

/** The longest that SQS takes: fewest empty answers, and each of them is paid for. */
const waitSeconds = 20;
const outagePollMs = 200;
/** Of an answer: ten bodies of ordinary size are a hundredth of it. */
const largeBytes = 262_144;

export interface ReceiverOptions {
  readonly queue: Queue;
  readonly fifo: boolean;
  readonly budget: Budget;
  readonly sizes: RecentSizes;
  readonly backlog: Backlog;
  readonly pollers: Pollers;
  readonly visibility: Visibility;
  readonly sealing: Sealing;
  readonly publisher: { push(record: OutgoingRecord, item: Held): void };
  /** Is a server down that what we hold is waiting for? */
  readonly stalled: () => boolean;
  readonly outage: Outage;
  readonly clock: Clock;
  readonly counts: Counts;
  readonly observer: ConnectorObserver;
}

/**
 * One receiver, the `index`-th: poll, reserve, read, seal, publish, until `stop` aborts. **While Kafka or the vault is out it does not receive.** `abort`
 * ends a poll that is under way; what that poll was carrying becomes visible again by itself.
 *
 * @throws PipelineError of action `stop`
 */
export async function receive(
  options: ReceiverOptions,
  index: number,
  signals: { stop: AbortSignal; abort: AbortSignal },
): Promise<void> {
  const { queue, budget, sizes, pollers, stalled, outage } = options;
  while (!signals.stop.aborted) {
    if (stalled()) {
      await sleep(outagePollMs, signals.stop);
      continue;
    }
    if (!pollers.wants(index)) {
      await pollers.park(index, signals.stop);
      continue;
    }
    const admission = await Admission.begin(budget, sizes, signals.stop);
    if (admission === undefined) return;
    let messages: QueueMessage[];
    let polledAtMs = 0;
    try {
      messages = await outage.waitOut(() => {
        // An empty poll says that the server is back: not after twenty seconds.
        const seconds = outage.down ? 0 : waitSeconds;
        polledAtMs = Date.now();
        return queue.receive({
          max: admission.max,
          waitSeconds: seconds,
          signal: signals.abort,
          admit: (bytes) => admission.admit(bytes, signals.abort),
        });
      }, signals.stop);
    } catch (error) {
      // The connector ends: what was reserved is of no more use.
      if (signals.stop.aborted && error instanceof PipelineError && error.action === 'retry') return;
      throw error;
    }
    options.backlog.received(messages.length, admission.max);
    pollers.received(messages.length, admission.max);
    if (messages.length === 0) admission.settle(0, 0);
    else {
      const bytes = await publish(options, messages, { polledAtMs, admission, stop: signals.stop });
      if (bytes >= largeBytes) passedLarge(bytes);
    }
  }
}

/**
 * In the order received. Waiting for a key holds up the whole receive, and with it this receiver: a message of a
 * FIFO group never overtakes the one before it. One that cannot be published takes the rest of its group with it.
 */
async function publish(
  options: ReceiverOptions,
  messages: readonly QueueMessage[],
  poll: { polledAtMs: number; admission: Admission; stop: AbortSignal },
): Promise<number> {
  const { fifo, visibility, sealing, publisher, clock, counts } = options;
  const nowMs = clock();
  const entries = messages.map((message) => {
    const bodyBytes = Buffer.byteLength(message.body);
    const item: Held = {
      receiptHandle: message.receiptHandle,
      bytes: bodyBytes + transitOverheadBytes + attributeBytes(message) + overheadBytes,
      receivedAtMs: nowMs,
      invisibleSinceMs: nowMs,
      state: 'held',
      trace: undefined,
    };
    visibility.add(item);
    return { item, message, envelope: toEnvelope(message, { fifo, nowMs }) };
  });
  counts.received += entries.length;
  options.observer.received(entries, { startMs: poll.polledAtMs, receivedAtMs: nowMs });
  const bytes = entries.reduce((sum, entry) => sum + entry.item.bytes, 0);
  options.sizes.received(entries.length, bytes);
  poll.admission.settle(entries.length, bytes);

  const blockedGroups = new Set<string>();
  for (const { item, message, envelope } of entries) {
    const group = fifo ? message.groupId : undefined;
    if (group !== undefined && blockedGroups.has(group)) {
      forget(options, item, 'forgotten');
      continue;
    }
    const body = Buffer.from(message.body);
    const value =
      sealing.sealNow(body, envelope.identity) ??
      (await sealing.sealWhenReady(body, envelope.identity, poll.stop));
    if (value === 'stopped') return bytes;
    // `gone`: handed back, or taken back by SQS, while it waited for its key.
    if (value !== 'unsealable' && item.state !== 'gone') {
      const record = { ...envelope.record, value };
      publisher.push(item.trace === undefined ? record : item.trace.outgoing(record), item);
      continue;
    }
    if (group !== undefined) blockedGroups.add(group);
    if (value !== 'unsealable') {
      forget(options, item, 'forgotten');
      continue;
    }
    counts.unsealable++;
    options.observer.failed({ item, message, envelope }, nowMs);
    forget(options, item, 'unsealable');
  }
  return bytes;
}

/** Not published: it comes again after its timeout, until it can be, or the queue's redrive policy takes it. */
function forget({ visibility, budget }: ReceiverOptions, item: Held, how: MessageEnd): void {
  item.state = 'gone';
  item.trace?.end(how);
  visibility.remove(item);
  budget.release({ messages: 1, bytes: item.bytes });
}

function attributeBytes(message: QueueMessage): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(message.attributes)) bytes += name.length + value.length;
  return bytes;
}
