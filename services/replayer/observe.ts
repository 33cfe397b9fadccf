import type { InsertedBatch, ReplayBatch } from '../../db/queries/insert-replay-batch.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { knownOr } from '../../shared/outage.ts';
import { traceHeaders } from '../../shared/streams/trace-headers.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';
import { isSampled, parseTraceparent } from '../../shared/telemetry/traceparent.ts';
import type { Governor } from './governor.ts';

/** More would make a span that no backend shows. */
const maxLinks = 128;

/** What a process has done for a job since it began, for metrics, spans and whoever watches. A call a batch. */
export class ReplayObserver {
  readonly #telemetry: Telemetry;
  readonly #topic: string;
  readonly #positions = new Map<number, bigint>();
  readonly #done = { read: 0, inserted: 0, duplicate: 0, dead: 0, filtered: 0 };
  #left = 0n;

  constructor(telemetry: Telemetry, topic: string, governor: Governor) {
    this.#telemetry = telemetry;
    this.#topic = topic;
    const { metrics } = telemetry;
    if (!metrics.wanted) return;
    metrics.observe('sluice.replay.position', (report) => {
      for (const [partition, next] of this.#positions) report(Number(next), { partition: String(partition) });
    });
    metrics.observe('sluice.replay.left.records', (report) => report(Number(this.#left)));
    metrics.observe('sluice.replay.pace.records', (report) => {
      if (governor.perSecond !== Infinity) report(governor.perSecond);
    });
    metrics.observe('sluice.replay.held', (report) => {
      for (const by of ['live lag', 'latency'] as const) report(governor.heldBy === by ? 1 : 0, { by });
    });
  }

  get done(): Readonly<Record<'read' | 'inserted' | 'duplicate' | 'dead' | 'filtered', number>> {
    return { ...this.#done };
  }

  /** So many offsets of the whole job are left, for whichever process. */
  left(offsets: bigint): void {
    this.#left = offsets;
  }

  /** A batch is about to be written. Its span is linked to the traces of the records that have one. */
  batch(partition: number, records: readonly IncomingRecord[]) {
    const { tracing } = this.#telemetry;
    const links = tracing === undefined ? [] : linksOf(records);
    const span =
      tracing !== undefined && (links.length > 0 || tracing.batchSampled('replay'))
        ? tracing.span(`replay ${this.#topic}`, {
            kind: 'CONSUMER',
            links,
            attributes: {
              'messaging.system': 'kafka',
              'messaging.operation.name': 'replay',
              'messaging.operation.type': 'process',
              'messaging.destination.name': this.#topic,
              'messaging.destination.partition.id': String(partition),
              'messaging.batch.message_count': records.length,
            },
          })
        : undefined;
    return {
      inserted: (entry: ReplayBatch, result: InsertedBatch) => this.#inserted(entry, result),
      async during<T>(work: () => Promise<T>): Promise<T> {
        try {
          const result = await (span === undefined ? work() : span.during(work));
          span?.end();
          return result;
        } catch (error) {
          span?.end({ error: knownOr(error).code });
          throw error;
        }
      },
    };
  }

  #inserted(entry: ReplayBatch, { inserted, duplicate }: InsertedBatch): void {
    this.#positions.set(entry.partition, entry.last + 1n);
    const sum = (pick: 'dead' | 'filtered') => entry.days.reduce((total, day) => total + day[pick], 0);
    const outcomes = { inserted, duplicate, dead: sum('dead'), filtered: sum('filtered') };
    for (const outcome of ['inserted', 'duplicate', 'dead', 'filtered'] as const) {
      this.#done[outcome] += outcomes[outcome];
      this.#done.read += outcomes[outcome];
      if (outcomes[outcome] > 0)
        this.#telemetry.metrics.add('sluice.replay.records', outcomes[outcome], { outcome });
    }
  }
}

function linksOf(records: readonly IncomingRecord[]) {
  const links = [];
  for (const { headers } of records) {
    const header = headers[traceHeaders.traceparent] ?? headers[traceHeaders.origin];
    const context = header === undefined ? undefined : parseTraceparent(header);
    if (context !== undefined && isSampled(context)) links.push({ context });
    if (links.length === maxLinks) break;
  }
  return links;
}
