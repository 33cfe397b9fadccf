import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LedgerEntry } from '../../../db/queries/insert-ledger.ts';
import type { EncodedBatch, Verdicts } from '../../../services/writer/encode.ts';
import { makeDurable, type Steps } from '../../../services/writer/process-batch.ts';
import type { Slice } from '../../../services/writer/record-queue.ts';
import { PipelineError } from '../../../shared/errors.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';

type Kind = 'good' | 'unparsable' | 'poison';

/** A pipeline of three kinds of record, with a Postgres that refuses any batch that holds a poisonous one. */
class FakePipeline implements Steps {
  readonly written: string[] = [];
  readonly deadLetters: string[] = [];
  readonly ledger: LedgerEntry[] = [];
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
    const rows = { createDate: [], eventId, sentAtMs: [], dekId: [], clear: [], masked: [], sealed: [] };
    return { rows, partitions, dead, ledger: [...ledger.values()] };
  }

  async publishDead(dead: EncodedBatch['dead']): Promise<void> {
    this.deadLetters.push(
      ...dead.map(({ partition, record, reason }) => `${partition}/${record.offset}/${reason.code}`),
    );
  }

  async insert(batch: EncodedBatch): Promise<LedgerEntry[]> {
    if (batch.rows.eventId.some((id) => id.endsWith('poison'))) throw this.refusal;
    this.written.push(...batch.rows.eventId);
    this.ledger.push(...batch.ledger);
    return [...batch.ledger];
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

  test('dead letters are acknowledged before anything is written', async () => {
    const { slices, fake } = pipeline([['good', 'unparsable']]);
    fake.publishDead = async () => {
      throw new PipelineError('KAFKA_FORBIDDEN');
    };
    await expect(run(slices, fake)).rejects.toMatchObject({ code: 'KAFKA_FORBIDDEN' });
    expect(fake.written).toEqual([]);
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
