import { PipelineError } from '../../shared/errors.ts';
import { Health } from '../../shared/health/health.ts';
import { checkWhenIdle } from '../../shared/health/idle-check.ts';
import type { RecordProducer } from '../../shared/kafka/ports.ts';
import { Publisher } from '../../shared/kafka/publisher.ts';
import { watchProducer } from '../../shared/kafka/watched-producer.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Logger } from '../../shared/log.ts';
import { Outage } from '../../shared/outage.ts';
import type { Queue, QueueAttributes } from '../../shared/sqs/ports.ts';
import { noTelemetry } from '../../shared/telemetry/telemetry.ts';
import type { Clock } from '../../shared/time.ts';
import { RecentSizes } from './admission.ts';
import { Backlog } from './backlog.ts';
import { Budget } from './budget.ts';
import { Deleter } from './deleter.ts';
import { noCounts, type Counts, type Held } from './held.ts';
import type { MessageEnd } from './message-traces.ts';
import { ConnectorObserver } from './observe.ts';
import { Pollers } from './pollers.ts';
import { receive } from './receiver.ts';
import { Sealing, type Sealer } from './sealing.ts';
import { summarise } from './summary.ts';
import { Visibility } from './visibility.ts';
import { watchQueue } from './watched-queue.ts';

/** A poll that is bringing messages as we stop is worth a moment: aborted, they would be out of sight for a whole timeout. */
const pollGraceMs = 1_000;
/** Handing back is a courtesy: what is not handed back comes back by itself. */
const handBackLimitMs = 3_000;
/** Stopping over an error of ours, nobody sets a deadline but we. */
const haltDeadlineMs = 10_000;
/** A request to Kafka is given up after 10 s. */
const sendLimitMs = 60_000;

export interface ConnectorDeps {
  readonly queue: Queue;
  readonly producer: RecordProducer;
  /** Undefined: bodies go as they are (TRANSIT_SEALING=off). */
  readonly sealer: Sealer | undefined;
  readonly log: Logger;
  readonly clock: Clock;
  readonly topic: string;
  readonly receivers: number;
  readonly lingerMs: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Told how servers and loops are. */
  readonly health?: Health;
  /** Told what is done, batch by batch. */
  readonly observer?: ConnectorObserver;
}

/**
 * Moves messages from the queue to the raw topic until `stop` aborts, then drains: polls end, what is held is published and
 * deleted, the rest is handed back. `force` cuts that short. Resolves with what it has done.
 *
 * - **A message is deleted only after every in-sync replica has acknowledged its record.**
 * - **What is reserved and held never exceeds `maxMessages` and `maxBytes`.**
 * - During an outage of Kafka or the vault nothing is received; what is held stays ours for two minutes (see {@link Visibility}) and is then
 *   handed back. A copy of it may still be published, the receipt is not used any more.
 * - However it ends, nothing is lost: what was not deleted is delivered again, under the same identity.
 *
 * @throws PipelineError of action `stop`, after draining
 */
export async function runConnector(
  deps: ConnectorDeps,
  signals: { stop: AbortSignal; force: AbortSignal },
): Promise<Counts> {
  const { log, clock } = deps;
  const health = deps.health ?? new Health('connector');
  const observer =
    deps.observer ?? new ConnectorObserver(noTelemetry, { queueUrl: '', topic: deps.topic, clock });
  const queue = watchQueue(observer.queue(deps.queue), health);
  const outageOf = (what: string) => new Outage(what, { log, clock, observer: health.dependency(what) });
  const counts = noCounts();
  const halt = new AbortController();
  const haltOver = new AbortController();
  const fail = (error: unknown) => {
    if (halt.signal.aborted) return;
    halt.abort(error);
    setTimeout(() => haltOver.abort(), haltDeadlineMs).unref();
  };
  const stop = AbortSignal.any([signals.stop, halt.signal]);
  const force = AbortSignal.any([signals.force, haltOver.signal]);
  const vault = outageOf('vault');
  const sealing = new Sealing({ sealer: deps.sealer, outage: vault, clock });
  const servers = await waitForServers({ ...deps, queue }, sealing, stop, outageOf);
  if (servers === undefined) return counts;
  const { attributes, partitions } = servers;

  const sqs = (what: string) => outageOf(`sqs ${what}`);
  const backlog = new Backlog(deps.receivers);
  const pollers = new Pollers(deps.receivers);
  const budget = new Budget({ messages: deps.maxMessages, bytes: deps.maxBytes });
  const finish = (item: Held, how: MessageEnd) => {
    item.trace?.end(how);
    visibility.remove(item);
    budget.release({ messages: 1, bytes: item.bytes });
  };
  const deleter = new Deleter({
    queue,
    fifo: attributes.fifo,
    outage: sqs('delete'),
    force,
    onDone: (items, outcome) => {
      counts[outcome] += items.length;
      for (const item of items) finish(item, outcome);
    },
    onFatal: fail,
  });
  const publisher = new Publisher<Held>({
    producer: watchProducer(observer.producer(deps.producer), {
      loop: health.loop('kafka sends', sendLimitMs),
      kafka: health.dependency('kafka'),
    }),
    topic: deps.topic,
    partitions,
    lingerMs: deps.lingerMs,
    unhurried: () => backlog.deep,
    log,
    onAcked: (items) => {
      counts.published += items.length;
      const deletable = items.filter((item) => item.state === 'held');
      for (const item of items) item.trace?.acknowledged();
      for (const item of deletable) item.state = 'published';
      for (const item of items) if (item.state === 'gone') finish(item, 'returned');
      deleter.add(deletable);
    },
    onFatal: fail,
  });
  const stalled = () => publisher.outage || vault.down;
  const visibility = new Visibility({
    queue,
    timeoutSeconds: attributes.visibilityTimeoutSeconds,
    clock,
    counts,
    outage: sqs('visibility'),
    stalled,
  });

  const end = new AbortController();
  const polls = new AbortController();
  const upkeep = Promise.all([
    visibility.run(end.signal).catch(fail),
    summarise({ queue, counts, budget, pollers, visibility, log, observer }, end.signal),
    observer.run({ queue, counts, budget }, end.signal),
    checkWhenIdle(
      {
        health,
        dependency: 'kafka',
        outage: outageOf('kafka'),
        check: () => deps.producer.partitionCount(deps.topic),
      },
      end.signal,
    ),
  ]);
  const receiver = {
    queue,
    fifo: attributes.fifo,
    budget,
    sizes: new RecentSizes(),
    backlog,
    pollers,
    visibility,
    sealing,
    publisher,
    stalled,
    outage: sqs('receive'),
    clock,
    counts,
    observer,
  };
  const receiving = Promise.all(
    Array.from({ length: deps.receivers }, (_, index) =>
      receive(receiver, index, { stop, abort: polls.signal }).catch(fail),
    ),
  );
  log.info(
    { receivers: deps.receivers, fifo: attributes.fifo, waiting: attributes.visible, topic: deps.topic },
    'receiving',
  );

  health.started();
  await aborted(stop);
  await within(pollGraceMs, receiving, force);
  polls.abort();
  await receiving;
  await publisher.close(AbortSignal.any([force, halt.signal]));
  await deleter.close();
  end.abort();
  await Promise.race([upkeep, aborted(force)]);
  await within(handBackLimitMs, visibility.handBackAll().catch(fail));
  log.info({ ...counts }, 'stopped');
  if (halt.signal.aborted) throw halt.signal.reason;
  return counts;
}

/**
 * Waits, saying for what, until SQS, Kafka and the vault answer. Undefined when `stop` came first.
 * @throws PipelineError of action `stop`
 */
async function waitForServers(
  deps: ConnectorDeps,
  sealing: Sealing,
  stop: AbortSignal,
  outageOf: (what: string) => Outage,
): Promise<{ attributes: QueueAttributes; partitions: number } | undefined> {
  const wait = <T>(what: string, attempt: () => Promise<T>): Promise<T> =>
    outageOf(what).waitOut(attempt, stop);
  try {
    const attributes = await wait('sqs', () => deps.queue.attributes());
    if (attributes.visibilityTimeoutSeconds === 0) {
      throw new PipelineError(
        'CONFIG_INVALID',
        'The visibility timeout of the queue is 0 s, so that every message is received again at once: set it to 30',
      );
    }
    const partitions = await wait('kafka', () => deps.producer.partitionCount(deps.topic));
    const prepared = await sealing.prepare(deps.clock(), stop);
    return prepared === 'ready' && !stop.aborted ? { attributes, partitions } : undefined;
  } catch (error) {
    if (stop.aborted && error instanceof PipelineError && error.action === 'retry') return undefined;
    throw error;
  }
}

/** Resolves with `work`, after `ms`, or when `signal` aborts, whichever is first. Leaves no timer behind. */
async function within(ms: number, work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  try {
    await Promise.race([work, sleep(ms, either)]);
  } finally {
    over.abort();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
