import { transitOverheadBytes } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { OutgoingRecord } from '../../shared/kafka/ports.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Queue, QueueMessage } from '../../shared/sqs/ports.ts';
import type { Clock } from '../../shared/time.ts';
import type { Budget, Share } from './budget.ts';
import { batchLimit, type Counts, type Held } from './held.ts';
import type { Outage } from './outage.ts';
import type { Sealing } from './sealing.ts';
import { toEnvelope } from './to-record.ts';
import type { Visibility } from './visibility.ts';

/** SQS's limit for a message, attributes included (Developer Guide, "Message quotas"). A receive has no limit of its own. */
const maxMessageBytes = 1_048_576;
/**
 * What a held message takes beside its value, rounded up: receipt handle (400 characters on AWS), record, key, nonce, headers,
 * a place in three collections.
 */
const overheadBytes = 2_048;
/** What a receive may bring at worst. Reserved before each poll. */
export const worstReceive: Share = {
  messages: batchLimit,
  bytes: batchLimit * (maxMessageBytes + overheadBytes),
};
/** The longest that SQS takes: fewest empty answers, and each of them is paid for. */
const waitSeconds = 20;
const outagePollMs = 200;

export interface ReceiverOptions {
  readonly queue: Queue;
  readonly fifo: boolean;
  readonly budget: Budget;
  readonly visibility: Visibility;
  readonly sealing: Sealing;
  readonly publisher: { push(record: OutgoingRecord, item: Held): void };
  /** Is a server down that what we hold is waiting for? */
  readonly stalled: () => boolean;
  readonly outage: Outage;
  readonly clock: Clock;
  readonly counts: Counts;
}

/**
 * One receiver: reserve, poll, seal, publish, until `stop` aborts. **While Kafka or the vault is out it does not receive.** `abort`
 * ends a poll that is under way; what that poll was carrying becomes visible again by itself.
 *
 * @throws PipelineError of action `stop`
 */
export async function receive(
  options: ReceiverOptions,
  signals: { stop: AbortSignal; abort: AbortSignal },
): Promise<void> {
  const { queue, budget, stalled, outage } = options;
  while (!signals.stop.aborted) {
    if (stalled()) {
      await sleep(outagePollMs, signals.stop);
      continue;
    }
    if (!(await budget.reserve(worstReceive, signals.stop))) return;
    let messages: QueueMessage[];
    try {
      messages = await outage.waitOut(
        () => queue.receive({ max: batchLimit, waitSeconds, signal: signals.abort }),
        signals.stop,
      );
    } catch (error) {
      // The connector ends: what was reserved is of no more use.
      if (signals.stop.aborted && error instanceof PipelineError && error.action === 'retry') return;
      throw error;
    }
    if (messages.length === 0) budget.release(worstReceive);
    else await publish(options, messages, signals.stop);
  }
}

/**
 * In the order received. Waiting for a key holds up the whole receive, and with it this receiver: a message of a
 * FIFO group never overtakes the one before it. One that cannot be published takes the rest of its group with it.
 */
async function publish(
  options: ReceiverOptions,
  messages: readonly QueueMessage[],
  stop: AbortSignal,
): Promise<void> {
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
    };
    visibility.add(item);
    return { item, message, envelope: toEnvelope(message, { fifo, nowMs }) };
  });
  counts.received += entries.length;
  options.budget.release({
    messages: worstReceive.messages - entries.length,
    bytes: worstReceive.bytes - entries.reduce((sum, entry) => sum + entry.item.bytes, 0),
  });

  const blockedGroups = new Set<string>();
  for (const { item, message, envelope } of entries) {
    const group = fifo ? message.groupId : undefined;
    if (group !== undefined && blockedGroups.has(group)) {
      forget(options, item);
      continue;
    }
    const body = Buffer.from(message.body);
    const value =
      sealing.sealNow(body, envelope.identity) ??
      (await sealing.sealWhenReady(body, envelope.identity, stop));
    if (value === 'stopped') return;
    // `gone`: handed back, or taken back by SQS, while it waited for its key.
    if (value !== 'unsealable' && item.state !== 'gone') {
      publisher.push({ ...envelope.record, value }, item);
      continue;
    }
    if (value === 'unsealable') counts.unsealable++;
    if (group !== undefined) blockedGroups.add(group);
    forget(options, item);
  }
}

/** Not published: it comes again after its timeout, until it can be, or the queue's redrive policy takes it. */
function forget({ visibility, budget }: ReceiverOptions, item: Held): void {
  item.state = 'gone';
  visibility.remove(item);
  budget.release({ messages: 1, bytes: item.bytes });
}

function attributeBytes(message: QueueMessage): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(message.attributes)) bytes += name.length + value.length;
  return bytes;
}
