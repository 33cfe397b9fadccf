import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LedgerEntry } from '../../../db/queries/insert-ledger.ts';
import type { EncodedBatch, Slice, Verdicts } from '../../../db/rows/encode.ts';
import { makeDurable, type Steps } from '../../../db/rows/process-batch.ts';
import { refusedRows, type RefusedRow } from '../../../db/rows/refused-rows.ts';
import { PipelineError } from '../../../shared/errors.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';
import { rowColumns, texts, textsOf } from '../../helpers/row-columns.ts';

type Kind = 'good' | 'unparsable' | 'poison';

/** A pipeline of three kinds of record, with a Postgres that refuses any batch that holds a poisonous one. */
class FakePipeline implements Steps {
  readonly written: string[] = [];
  readonly deadLetters: string[] = [];
  readonly ledger: LedgerEntry[] = [];
  /** Attempts made to find culprits. */
  tries = 0;
  /** Calls of publishDead. */
  publications = 0;
  readonly #kinds: ReadonlyMap<IncomingRecord, Kind>;
  refusal = new PipelineError('DATABASE_REJECTED', 'SQLSTATE 22003');

  constructor(kinds: ReadonlyMap<IncomingRecord, Kind>) {
    this.#kinds = kinds;
  }

  async encode(slices: readonly Slice[], verdicts: Verdicts): Promise<EncodedBatch> {
    const eventId: string[] = [];
    const partitions: number[] = [];
    const dead: EncodedBatch['dead'][number][] = [];
    const ledger = new Map<number, { -readonly [K in keyof LedgerEntry]: LedgerEntry[K] }>();
    for (const { partition, records } of slices) {
      for (const record of records) {
        const entry = ledger.get(partition) ?? {
          topic: 't',
          partition,
          firstOffset: record.offset,
          lastOffset: record.offset,
          read: 0,
          inserted: 0,
          duplicate: 0,
          dead: 0,
          unknownFields: 0,
        };
        ledger.set(partition, entry);
        entry.lastOffset = record.offset;
        entry.read += 1;
        const reason = verdicts.get(record)?.reason;
        if (reason !== undefined || this.#kinds.get(record) === 'unparsable') {
          dead.push({ partition, record, reason: reason ?? { code: 'BODY_NOT_JSON', stage: 'parse' } });
          entry.dead += 1;
        } else {
          eventId.push(`${partition}/${record.offset}/${this.#kinds.get(record)}`);
          partitions.push(partition);
          entry.inserted += 1;
        }
      }
    }
    const rows = rowColumns({ eventId: texts(...eventId) });
    return { rows, partitions, dead, filtered: [], ledger: [...ledger.values()] };
  }

  async publishDead(dead: EncodedBatch['dead']): Promise<void> {
    this.publications += 1;
    this.deadLetters.push(
      ...dead.map(({ partition, record, reason }) => `${partition}/${record.offset}/${reason.code}`),
    );
  }

  async insert(batch: EncodedBatch): Promise<LedgerEntry[]> {
    if (textsOf(batch.rows.eventId).some((id) => id.endsWith('poison'))) throw this.refusal;
    this.written.push(...textsOf(batch.rows.eventId));
    this.ledger.push(...batch.ledger);
    return [...batch.ledger];
  }

  async refused(batch: EncodedBatch, range: { from: number; to: number }): Promise<RefusedRow[]> {
    return refusedRows(range, async (from, to) => {
      this.tries += 1;
      const tried = textsOf(batch.rows.eventId).slice(from, to);
      return tried.some((id) => id.endsWith('poison')) ? this.refusal : undefined;
    });
  }
}

function pipeline(shape: readonly (readonly Kind[])[]): { slices: Slice[]; fake: FakePipeline } {
  const kinds = new Map<IncomingRecord, Kind>();
  const slices = shape.map((list, partition) => ({
    partition,
    records: list.map((kind, i) => {
      const record = {
        offset: BigInt(i),
        key: Buffer.alloc(0),
        value: Buffer.alloc(0),
        timestampMs: 1,
        headers: {},
      };
      kinds.set(record, kind);
      return record;
    }),
  }));
  return { slices, fake: new FakePipeline(kinds) };
}

async function run(slices: Slice[], fake: FakePipeline): Promise<LedgerEntry[]> {
  const verdicts: Verdicts = new Map();
  return makeDurable(fake, slices, await fake.encode(slices, verdicts), verdicts);
}

describe('makeDurable', () => {
  test('only the culprit is dead-lettered, once, with the SQLSTATE; its neighbours go in', async () => {
    const { slices, fake } = pipeline([
      ['good', 'good', 'poison', 'good'],
      ['unparsable', 'good'],
    ]);
    await run(slices, fake);
    expect(fake.written.sort()).toEqual(['0/0/good', '0/1/good', '0/3/good', '1/1/good']);
    expect(fake.deadLetters.sort()).toEqual(['0/2/DATABASE_REJECTED', '1/0/BODY_NOT_JSON']);
  });

  test('one culprit among a thousand takes twenty tries; its dead letter and its neighbours go at once', async () => {
    const { slices, fake } = pipeline([
      Array.from({ length: 1_000 }, (_, i) => (i === 333 ? 'poison' : 'good')),
    ]);
    await run(slices, fake);
    expect(fake.written).toHaveLength(999);
    expect(fake.ledger).toMatchObject([{ read: 1_000, inserted: 999, dead: 1 }]);
    expect(fake.tries).toBeLessThan(25);
  });

  test('many culprits among more rows than are searched at once: their dead letters go together', async () => {
    const { slices, fake } = pipeline([
      Array.from({ length: 2_500 }, (_, i) => (i % 2 === 0 ? 'poison' : 'good')),
    ]);
    await run(slices, fake);
    expect(fake.written).toHaveLength(1_250);
    expect(fake.deadLetters).toHaveLength(1_250);
    expect(fake.publications).toBe(1);
  });

  test('tokens that change during the search: what was found stays found, the rest is searched again', async () => {
    const { slices, fake } = pipeline([
      Array.from({ length: 1_500 }, (_, i) => (i % 700 === 0 ? 'poison' : 'good')),
    ]);
    let interruptions = 1;
    const refused = fake.refused.bind(fake);
    fake.refused = async (batch, range) => {
      if (range.from > 0 && interruptions-- > 0) throw new PipelineError('TOKENS_CHANGED');
      return refused(batch, range);
    };
    await run(slices, fake);
    expect(fake.written).toHaveLength(1_497);
    expect(fake.deadLetters).toHaveLength(3);
  });

  test('refused together, but none alone: cut in two until they go in', async () => {
    const { slices, fake } = pipeline([['good', 'good', 'good', 'good']]);
    const insert = fake.insert.bind(fake);
    fake.insert = async (batch) => {
      if (batch.partitions.length > 2) throw fake.refusal;
      return insert(batch);
    };
    await run(slices, fake);
    expect(fake.written).toHaveLength(4);
    expect(fake.ledger.map(({ read }) => read)).toEqual([2, 2]);
    expect(fake.deadLetters).toEqual([]);
  });

  test('a ledger entry that is refused stops the writer', async () => {
    const { slices, fake } = pipeline([['good']]);
    fake.insert = async () => {
      throw fake.refusal;
    };
    await expect(run(slices, fake)).rejects.toMatchObject({
      code: 'INTERNAL',
      detail: expect.stringContaining(fake.refusal.detail ?? 'nothing'),
    });
    expect(fake.deadLetters).toEqual([]);
  });

  test('dead letters are acknowledged before anything is written', async () => {
    const { slices, fake } = pipeline([['good', 'unparsable']]);
    fake.publishDead = async () => {
      throw new PipelineError('KAFKA_FORBIDDEN');
    };
    await expect(run(slices, fake)).rejects.toMatchObject({ code: 'KAFKA_FORBIDDEN' });
    expect(fake.written).toEqual([]);
  });

  test('tokens of epochs that are over are made anew, and nothing is lost or dead-lettered', async () => {
    const { slices, fake } = pipeline([['good', 'unparsable', 'good']]);
    let refusals = 2;
    const insert = fake.insert.bind(fake);
    fake.insert = async (batch) => {
      if (refusals-- > 0) throw new PipelineError('TOKENS_CHANGED');
      return insert(batch);
    };
    await run(slices, fake);
    expect(fake.written).toEqual(['0/0/good', '0/2/good']);
    expect(fake.deadLetters).toEqual(['0/1/BODY_NOT_JSON']);
  });

  test('an outage dead-letters nothing and is thrown', async () => {
    const { slices, fake } = pipeline([['good', 'poison']]);
    fake.refusal = new PipelineError('DATABASE_UNAVAILABLE');
    await expect(run(slices, fake)).rejects.toMatchObject({ action: 'retry' });
    expect(fake.deadLetters).toEqual([]);
  });

  test('whatever the mix: each record once in one place, and the ledger tiles every partition', async () => {
    const kind = fc.constantFrom<Kind>('good', 'good', 'good', 'unparsable', 'poison');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(kind, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }),
        async (shape) => {
          const { slices, fake } = pipeline(shape);
          const returned = await run(slices, fake);
          expect(returned).toEqual(fake.ledger);
          const expected = (wanted: Kind, suffix: string) =>
            shape.flatMap((list, p) => list.flatMap((k, i) => (k === wanted ? [`${p}/${i}/${suffix}`] : [])));
          expect(fake.written.sort()).toEqual(expected('good', 'good').sort());
          expect(fake.deadLetters.sort()).toEqual(
            [...expected('poison', 'DATABASE_REJECTED'), ...expected('unparsable', 'BODY_NOT_JSON')].sort(),
          );
          for (const [partition, list] of shape.entries()) {
            const entries = fake.ledger
              .filter((entry) => entry.partition === partition)
              .sort((a, b) => Number(a.firstOffset - b.firstOffset));
            let next = 0n;
            for (const entry of entries) {
              expect(entry.firstOffset).toBe(next);
              expect(entry.read).toBe(entry.inserted + entry.duplicate + entry.dead);
              next = entry.lastOffset + 1n;
            }
            expect(next).toBe(BigInt(list.length));
          }
        },
      ),
    );
  });
});
