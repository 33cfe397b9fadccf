import kafkajs, { type Consumer, type EachBatchPayload } from 'kafkajs';
import { PipelineError } from '../errors.ts';
import { assignmentOf, rejoinError, type Assignment } from './kafkajs-assignment.ts';
import type { KafkaClient, OpenKafka } from './kafkajs-client.ts';
import type { RecordConsumerOptions } from './kafkajs-consumer.ts';
import { toFetchedBatch } from './kafkajs-record.ts';
import type { ConsumerHandlers } from './ports.ts';

/** Why a membership ended. `ofHandler`: the error is the handlers' own, as they threw it. */
export interface SessionEnd {
  readonly error: unknown;
  readonly ofHandler: boolean;
}

export interface SessionEvents {
  assigned(partitions: readonly number[]): void;
  delivering(assignment: Assignment): void;
}

/** Leaving waits this long for a join or a request under way, so that it can be done properly; then connections are cut. */
const patienceMs = 10_000;
/** After the cut nothing waits for a broker any more: what still hangs is a handler. */
const graceMs = 5_000;
/** Beyond the longest wait there is, that of a join for other members: not even a heartbeat for this long is a stall. */
const stallMarginMs = 15_000;
const stallCheckMs = 5_000;

/**
 * One membership of the group, on connections of its own: joins, reads until `stop` aborts or kafkajs gives up, leaves.
 * Never rejects and never hangs; says STALLED when a handler neither ends nor calls its heartbeat. kafkajs is not let restart by
 * itself: its restarts are what leaves consumers that look alive and read nothing.
 */
export async function runSession(
  client: KafkaClient,
  options: Required<RecordConsumerOptions>,
  handlers: ConsumerHandlers,
  stop: AbortSignal,
  events: SessionEvents,
): Promise<SessionEnd> {
  const open = client.open();
  const consumer = createConsumer(open, options);
  const crash = Promise.withResolvers<SessionEnd>();
  const timers: NodeJS.Timeout[] = [];
  let handlerEnd: SessionEnd | undefined;
  let activeAt = performance.now();
  const active = () => {
    activeAt = performance.now();
  };
  const onStop = () => {
    timers.push(setTimeout(() => open.abort(), patienceMs));
    crash.resolve({ error: undefined, ofHandler: false });
  };
  const failHandler = (error: unknown) => {
    handlerEnd = { error, ofHandler: true };
    return new kafkajs.KafkaJSNonRetriableError('a handler failed');
  };

  consumer.on(consumer.events.REQUEST, active);
  // kafkajs would go on asking a coordinator that hangs, and not look for the new one, for as long as it has retries.
  consumer.on(consumer.events.REQUEST_TIMEOUT, () => open.abort());
  consumer.on(consumer.events.CRASH, ({ payload }) =>
    crash.resolve(handlerEnd ?? { error: payload.error, ofHandler: false }),
  );
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[options.topic] ?? [];
    events.assigned(partitions);
    try {
      handlers.onAssigned(partitions);
    } catch (error) {
      throw failHandler(error);
    }
  });

  const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
    const { batch } = payload;
    const assignment = assignmentOf(batch);
    if (stop.aborted) return;
    if (assignment === undefined || !assignment.isCurrent()) throw rejoinError();
    events.delivering(assignment);
    const left = new Set<unknown>();
    const beat = async (): Promise<void> => {
      active();
      try {
        if (stop.aborted || !assignment.isCurrent()) throw rejoinError();
        await payload.heartbeat();
        if (stop.aborted) throw rejoinError();
      } catch (error) {
        left.add(error);
        throw error;
      }
    };
    try {
      await handlers.onBatch(toFetchedBatch(batch), beat);
    } catch (error) {
      if (!left.has(error)) throw failHandler(error);
      if (stop.aborted) return;
      // Part of the batch may have been handed over: only a new assignment makes its user drop that.
      assignment.revoke();
      throw rejoinError();
    }
    assignment.moveBehind(batch.topic, batch.partition, batch.lastOffset());
  };

  const watch = setInterval(() => {
    if (performance.now() - activeAt < options.rebalanceTimeoutMs + stallMarginMs) return;
    clearInterval(watch);
    open.abort();
    const error = new PipelineError('STALLED', 'the consumer');
    timers.push(setTimeout(() => crash.resolve({ error, ofHandler: false }), graceMs));
  }, stallCheckMs);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();

  let end: SessionEnd;
  try {
    await join(consumer, options.topic, eachBatch, stop);
    end = await crash.promise;
  } catch (error) {
    end = handlerEnd ?? { error, ofHandler: false };
  }
  clearInterval(watch);
  stop.removeEventListener('abort', onStop);
  const left = await leave(consumer, open);
  for (const timer of timers) clearTimeout(timer);
  return left ? end : { error: new PipelineError('STALLED', 'the consumer'), ofHandler: false };
}

function createConsumer(open: OpenKafka, options: Required<RecordConsumerOptions>): Consumer {
  return open.kafka.consumer({
    groupId: options.groupId,
    sessionTimeout: options.sessionTimeoutMs,
    heartbeatInterval: options.heartbeatIntervalMs,
    rebalanceTimeout: options.rebalanceTimeoutMs,
    maxWaitTimeInMs: options.maxWaitMs,
    minBytes: 1,
    maxBytes: options.maxBytes,
    maxBytesPerPartition: options.maxBytesPerPartition,
    metadataMaxAge: options.metadataMaxAgeMs,
    allowAutoTopicCreation: false,
    retry: { retries: 4, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: async () => false },
  });
}

/** Resolves when the group is joined, and also when kafkajs crashed on the way: that is told by its CRASH event. */
async function join(
  consumer: Consumer,
  topic: string,
  eachBatch: (payload: EachBatchPayload) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  if (!stop.aborted) await consumer.connect();
  if (!stop.aborted) await consumer.subscribe({ topics: [topic], fromBeginning: true });
  if (stop.aborted) return;
  await consumer.run({
    autoCommit: false,
    // The position is moved by us, in the assignment of the batch.
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 1,
    eachBatch,
  });
}

/** Leaves the group and disconnects, by force after a while. False when even that did not end it. */
async function leave(consumer: Consumer, open: OpenKafka): Promise<boolean> {
  const { promise: overdue, resolve } = Promise.withResolvers<false>();
  const timers = [
    setTimeout(() => open.abort(), patienceMs),
    setTimeout(() => resolve(false), patienceMs + graceMs),
  ];
  const left = consumer.disconnect().then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([left, overdue]);
  for (const timer of timers) clearTimeout(timer);
  open.abort();
  return inTime;
}
