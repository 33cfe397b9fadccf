import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ChainVerifier,
  emptyHead,
  formatHead,
  hashOfEntry,
  parseHead,
  type Finding,
  type Head,
  type LogEntry,
} from '../../../shared/audit/chain.ts';

type Fields = Omit<LogEntry, 'id' | 'prevHash' | 'hash'>;

/** A log as the database would have written it. */
function chainOf(fields: readonly Fields[]): LogEntry[] {
  let previous = emptyHead.hash;
  return fields.map((field, i) => {
    const entry = { ...field, id: BigInt(i + 1), prevHash: previous, hash: undefined };
    const hash = hashOfEntry(entry, previous);
    if (hash === undefined) throw new Error('a column is empty');
    previous = hash;
    return { ...entry, hash };
  });
}

function verify(entries: readonly LogEntry[], heads: readonly Head[] = []): Finding | undefined {
  const chain = new ChainVerifier(heads);
  for (const entry of entries) {
    const finding = chain.next(entry);
    if (finding !== undefined) return finding;
  }
  return chain.end();
}

function headOf(entries: readonly LogEntry[], id: number): Head {
  const hash = entries[id - 1]?.hash;
  if (hash === undefined) throw new Error('no such entry');
  return { id: BigInt(id), hash };
}

const fields: fc.Arbitrary<Fields> = fc.record({
  atUs: fc.bigInt({ min: 0n, max: 4_000_000_000_000_000n }),
  actor: fc.string(),
  action: fc.constantFrom('recover', 'peek'),
  reason: fc.string({ unit: 'grapheme' }),
  ticket: fc.string(),
  subject: fc.uuid(),
});
const log = fc.array(fields, { minLength: 3, maxLength: 12 }).map(chainOf);

const sample = chainOf(
  Array.from({ length: 6 }, (_, i) => ({
    atUs: BigInt(1_780_000_000_000_000 + i),
    actor: 'sluice_recoverer',
    action: 'recover',
    reason: 'asked for',
    ticket: 'T-1',
    subject: `${i}`,
  })),
);

/** Computed with Python's hashlib from the documented format: see docs/formats.md, "Access log". */
test('known answer', () => {
  const first: LogEntry = {
    id: 1n,
    atUs: 1_795_507_200_123_456n,
    actor: 'sluice_recoverer',
    action: 'recover',
    reason: 'Grüße 🔑',
    ticket: 'T-1',
    subject: '11111111-1111-4111-8111-111111111111',
    prevHash: undefined,
    hash: undefined,
  };
  const hash = hashOfEntry(first, emptyHead.hash);
  expect(hash?.toString('hex')).toBe('0e9a9b5bed6e71ca6d84a1840a9712400a819ee7c88681609df01c4e27e23b56');
  const second = {
    ...first,
    id: 2n,
    atUs: 1_795_507_200_123_457n,
    reason: '',
    subject: 'user:u 2026-11-01..2026-11-24',
  };
  expect(hashOfEntry(second, hash ?? Buffer.alloc(0))?.toString('hex')).toBe(
    '38aa01f603b495ff2c1525e5b2f0b045715b811b846aff81418ad785070867b9',
  );
});

test('a log that nobody touched holds, against every head of it', () => {
  fc.assert(
    fc.property(log, (entries) => {
      const heads = [emptyHead, ...entries.map((_, i) => headOf(entries, i + 1))].toReversed();
      expect(verify(entries, heads)).toBeUndefined();
    }),
  );
  expect(verify([])).toBeUndefined();
  expect(verify([], [emptyHead])).toBeUndefined();
});

test('whatever is changed in an entry, that entry is named', () => {
  const changes: fc.Arbitrary<Partial<Record<keyof LogEntry, unknown>>> = fc.oneof(
    fc.record({ atUs: fc.constantFrom(1n, -1n, undefined) }),
    ...(['actor', 'action', 'reason', 'ticket', 'subject'] as const).map((column) =>
      fc.record({ [column]: fc.constantFrom('another', undefined) }),
    ),
    fc.record({ hash: fc.constantFrom(Buffer.alloc(32), Buffer.alloc(0), undefined) }),
    fc.record({ prevHash: fc.constantFrom(Buffer.alloc(31), Buffer.alloc(32, 7), undefined) }),
  );
  fc.assert(
    fc.property(log, fc.nat(), changes, (entries, which, change) => {
      const at = which % entries.length;
      const tampered = entries.map((entry, i) => (i === at ? Object.assign({ ...entry }, change) : entry));
      fc.pre(!isDeepStrictEqual(tampered, entries));
      expect(verify(tampered)?.id).toBe(BigInt(at + 1));
    }),
  );
});

describe('found', () => {
  const cases: [string, readonly LogEntry[], Partial<Finding>][] = [
    ['an entry removed', sample.toSpliced(2, 1), { id: 3n, kind: 'missing', message: 'entry 3 is missing' }],
    ['the first removed', sample.slice(1), { id: 1n, kind: 'missing' }],
    [
      'several removed',
      sample.toSpliced(1, 3),
      { id: 2n, kind: 'missing', message: 'entries 2 to 4 are missing' },
    ],
    ['one removed, those behind renumbered', renumbered(sample.toSpliced(2, 1)), { id: 3n, kind: 'link' }],
    ['two exchanged with their ids', exchanged(), { id: 2n, kind: 'link' }],
    ['two exchanged, ids in their places', renumbered(exchanged()), { id: 2n, kind: 'link' }],
    [
      'one put in',
      renumbered(sample.toSpliced(2, 0, { ...entryAt(2), subject: 'forged' })),
      { id: 3n, kind: 'changed' },
    ],
    ['one there twice', sample.toSpliced(2, 0, entryAt(1)), { id: 2n, kind: 'order' }],
    ['an id below all', [{ ...entryAt(0), id: -5n }, ...sample], { id: -5n, kind: 'order' }],
    ['text moved from one column to the next', moved(), { id: 3n, kind: 'changed' }],
  ];
  test.for(cases)('%s', ([, entries, finding]) => {
    expect(verify(entries)).toMatchObject(finding);
  });

  test('nothing when the end is cut or all is made anew, unless a head was kept', () => {
    const kept = [headOf(sample, 2), headOf(sample, 5)];
    const cut = sample.slice(0, 3);
    expect(verify(cut)).toBeUndefined();
    expect(verify(cut, kept)).toMatchObject({
      id: 4n,
      kind: 'head',
      message: expect.stringContaining('had 5'),
    });
    expect(verify([], kept)).toMatchObject({ id: 1n, kind: 'head' });
    const anew = chainOf(sample.map((entry, i) => (i === 3 ? { ...entry, actor: 'somebody' } : entry)));
    expect(verify(anew)).toBeUndefined();
    expect(verify(anew, kept)).toMatchObject({ id: 5n, kind: 'head' });
    expect(verify(anew, [headOf(sample, 2)])).toBeUndefined();
    expect(verify(sample, [{ id: 0n, hash: Buffer.alloc(32, 1) }])).toMatchObject({ id: 0n, kind: 'head' });
  });
});

test('a head is read as it is written, and nothing else is one', () => {
  const head = headOf(sample, 4);
  expect(parseHead(` ${formatHead(head)}\n`)).toEqual(head);
  for (const text of [
    '',
    '4',
    '4:',
    `4:${'g'.repeat(64)}`,
    `-1:${'0'.repeat(64)}`,
    `04:${'0'.repeat(64)}`,
    `4:${'0'.repeat(63)}`,
  ]) {
    expect(parseHead(text)).toBeUndefined();
  }
});

function entryAt(index: number): LogEntry {
  const entry = sample[index];
  if (entry === undefined) throw new Error('no such entry');
  return entry;
}

function renumbered(entries: readonly LogEntry[]): LogEntry[] {
  return entries.map((entry, i) => ({ ...entry, id: BigInt(i + 1) }));
}

function exchanged(): LogEntry[] {
  const [one, two] = [entryAt(1), entryAt(2)];
  return sample.toSpliced(1, 2, { ...two, id: one.id }, { ...one, id: two.id });
}

function moved(): LogEntry[] {
  return sample.toSpliced(2, 1, { ...entryAt(2), reason: 'asked forT', ticket: '-1' });
}
