import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { InsertedBatch, ReplayBatch } from '../../../db/queries/insert-replay-batch.ts';
import type { EncodedBatch, Slice } from '../../../db/rows/encode.ts';
import type { Encoder } from '../../../db/rows/encoder.ts';
import { Governor } from '../../../services/replayer/governor.ts';
import { ReplayObserver } from '../../../services/replayer/observe.ts';
import type { RecordBatch } from '../../../services/replayer/read-batches.ts';
import { replayRange, type ReplayParts, type ReplayStore } from '../../../services/replayer/replay-range.ts';
import { PipelineError } from '../../../shared/errors.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';
import { Outage } from '../../../shared/outage.ts';
import { noTelemetry } from '../../../shared/telemetry/telemetry.ts';
import { dates, rowColumns, texts, textsOf } from '../../helpers/row-columns.ts';

const day = '2026-11-24';
const log = pino({ level: 'silent' });

/** Every fifth offset is dead, every seventh not selected, every eleventh is refused by the store, every thirteenth does not exist. */
const is = (offset: bigint, n: bigint) => offset % n === 0n;
const records = (from: bigint, to: bigint): IncomingRecord[] => {
  const list: IncomingRecord[] = [];
  for (let offset = from; offset < to; offset += 1n) {
    if (is(offset, 13n)) continue;
    const nothing = Buffer.alloc(0);
    list.push({ offset, key: nothing, value: nothing, timestampMs: Date.parse(day), headers: {} });
  }
  return list;
};

type Fate = 'done' | 'down' | 'lost';

/** The ledger of a job, and what becomes of each attempt to write to it: `lost` is written, and the answer never comes. */
class FakeLedger {
  readonly entries = new Map<bigint, ReplayBatch>();
  readonly #fates: Iterator<Fate>;
  inserts = 0;

  constructor(fates: readonly Fate[]) {
    this.#fates = fates[Symbol.iterator]();
  }

  get position(): bigint {
    return [...this.entries.values()].reduce((end, { last }) => (last + 1n > end ? last + 1n : end), 0n);
  }

  store(onInsert: () => void): ReplayStore {
    return {
      insert: async (rows, entry) => {
        onInsert();
        this.inserts += 1;
        if (textsOf(rows.eventId).some((id) => is(BigInt(id), 11n))) {
          throw new PipelineError('DATABASE_REJECTED', 'SQLSTATE 22003');
        }
        const fate = this.#fates.next().value ?? 'done';
        if (fate === 'down') throw new PipelineError('DATABASE_UNAVAILABLE');
        const found = this.entries.get(entry.first);
        const ours = found?.writtenBy === entry.writtenBy && found.last === entry.last;
        if (found !== undefined) return ours ? resultOf(found) : undefined;
        this.entries.set(entry.first, entry);
        if (fate === 'lost') throw new PipelineError('DATABASE_UNAVAILABLE');
        return resultOf(entry);
      },
      refused: async (rows, { from, to }) =>
        textsOf(rows.eventId)
          .slice(from, to)
          .flatMap((id, i) => {
            const refusal = new PipelineError('DATABASE_REJECTED', 'SQLSTATE 22003');
            return is(BigInt(id), 11n) ? [{ row: from + i, refusal }] : [];
          }),
    };
  }
}

function resultOf({ days }: ReplayBatch): InsertedBatch {
  return { inserted: days.reduce((sum, { rows }) => sum + rows, 0), duplicate: 0, days: {} };
}

const encoder: Encoder = {
  encode: async (slices, verdicts) => encoded(slices, (record) => verdicts.get(record)?.reason),
  inserting: (_batch, insert) => insert(),
  refusalOf: () => undefined,
  retireKeys: async () => {},
};

function encoded(
  slices: readonly Slice[],
  verdictOf: (record: IncomingRecord) => EncodedBatch['dead'][number]['reason'] | undefined,
): EncodedBatch {
  const all = slices.flatMap(({ partition, records }) => records.map((record) => ({ partition, record })));
  const dead = all.flatMap(({ partition, record }) => {
    const reason =
      verdictOf(record) ??
      (is(record.offset, 5n) ? { code: 'BODY_EMPTY' as const, stage: 'parse' as const } : undefined);
    return reason === undefined ? [] : [{ partition, record, reason }];
  });
  const gone = new Set(dead.map(({ record }) => record));
  const rows = all.filter(({ record }) => !gone.has(record)).map(({ record }) => record);
  const counts = { read: 0, inserted: 0, duplicate: 0, dead: 0, unknownFields: 0 };
  const [first, last] = [all.at(0)?.record.offset, all.at(-1)?.record.offset];
  return {
    rows: rowColumns({
      createDate: dates(...rows.map(() => day)),
      eventId: texts(...rows.map(({ offset }) => String(offset))),
    }),
    partitions: rows.map(() => 0),
    dead,
    filtered: [],
    ledger:
      first === undefined || last === undefined
        ? []
        : [{ topic: 'raw', partition: 0, firstOffset: first, lastOffset: last, ...counts }],
  };
}

function partsOf(
  ledger: FakeLedger,
  batchRecords: number,
  onInsert: () => void,
  writtenBy: string,
): ReplayParts {
  const governor = new Governor({ perSecond: Infinity, maxLiveLag: undefined, maxLatencyMs: undefined });
  const outage = (what: string) => new Outage(what, { log });
  return {
    job: 'job',
    async *read({ from, to }): AsyncGenerator<RecordBatch> {
      const all = records(from, to);
      for (let at = 0; at < all.length; at += batchRecords) {
        const part = all.slice(at, at + batchRecords);
        const last = at + batchRecords < all.length ? (part.at(-1)?.offset ?? 0n) : to - 1n;
        yield { records: part, last, missed: 0n };
      }
      if (all.length === 0) yield { records: [], last: to - 1n, missed: 0n };
    },
    store: ledger.store(onInsert),
    encoder,
    selects: ({ offset }) => !is(offset, 7n),
    governor,
    observer: new ReplayObserver(noTelemetry, 'raw', governor),
    outages: { kafka: outage('kafka'), keys: outage('keys'), postgres: outage('postgres') },
    writtenBy,
    ready: () => Promise.resolve(),
  };
}

/** Each entry begins where the one before ended, from the beginning to the end, and every record counts once, as what it is. */
function ledgerTiles(ledger: FakeLedger, to: bigint): void {
  let next = 0n;
  const counts = { rows: 0, dead: 0, filtered: 0 };
  for (const entry of [...ledger.entries.values()].toSorted((a, b) => Number(a.first - b.first))) {
    expect(entry.first).toBe(next);
    next = entry.last + 1n;
    for (const one of entry.days) {
      counts.rows += one.rows;
      counts.dead += one.dead;
      counts.filtered += one.filtered;
    }
  }
  expect(next).toBe(to);
  const all = records(0n, to);
  const filtered = all.filter(({ offset }) => is(offset, 7n)).length;
  const dead = all.filter(({ offset }) => !is(offset, 7n) && (is(offset, 5n) || is(offset, 11n))).length;
  expect(counts).toEqual({ rows: all.length - filtered - dead, dead, filtered });
}

describe('a range', () => {
  const fates = fc.array(fc.constantFrom<Fate>('done', 'done', 'down', 'lost'), { maxLength: 12 });

  test('cut off anywhere, by processes that come and go, with answers that are lost: its ledger tiles it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 1n, max: 80n }),
        fc.integer({ min: 1, max: 20 }),
        fates,
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
        async (to, batchRecords, fates, cuts) => {
          const ledger = new FakeLedger(fates);
          for (const [process, cut] of [...cuts, Infinity].entries()) {
            const stop = new AbortController();
            let inserts = 0;
            const parts = partsOf(
              ledger,
              batchRecords,
              () => (inserts += 1) >= cut && stop.abort(),
              `p${process}`,
            );
            const range = { partition: 0, from: ledger.position, to };
            const force = cut === Infinity ? new AbortController().signal : stop.signal;
            if (range.from < to) {
              await replayRange(parts, range, { signal: stop.signal, force }).catch((error: unknown) => {
                // What a process that is cut off in an outage leaves behind.
                if (cut === Infinity) throw error;
              });
            }
          }
          ledgerTiles(ledger, to);
          expect(ledger.position).toBe(to);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of two that go on from one place, one does, and the other lets it', async () => {
    const ledger = new FakeLedger([]);
    const signals = { signal: new AbortController().signal, force: new AbortController().signal };
    const range = { partition: 0, from: 0n, to: 60n };
    await Promise.all([
      replayRange(
        partsOf(ledger, 7, () => {}, 'a'),
        range,
        signals,
      ),
      replayRange(
        partsOf(ledger, 10, () => {}, 'b'),
        range,
        signals,
      ),
    ]);
    const left = { partition: 0, from: ledger.position, to: 60n };
    if (left.from < left.to)
      await replayRange(
        partsOf(ledger, 7, () => {}, 'c'),
        left,
        signals,
      );
    expect(ledger.position).toBe(60n);
    ledgerTiles(ledger, 60n);
  });
});
