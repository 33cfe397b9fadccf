import { expect, test } from 'vitest';
import type { StoredSpan } from '../../../services/trace/jaeger.ts';
import { renderTraces, treeOf } from '../../../services/trace/tree.ts';

const begin = Date.parse('2026-11-24T08:00:00Z');
const span = (
  spanId: string,
  parentId: string | undefined,
  startMs: number,
  more: Partial<StoredSpan> = {},
): StoredSpan => ({
  spanId,
  name: spanId,
  service: 'sluice-connector',
  startMs: begin + startMs,
  durationMs: 5,
  parentId,
  links: [],
  tags: new Map(),
  ...more,
});

test('each below its parent, in order of time; one whose parent is elsewhere is a root', () => {
  const trace = {
    traceId: 't',
    spans: [
      span('delete', 'receive', 9),
      span('process', 'publish', 7),
      span('receive', 'of the producer', 0),
      span('publish', 'receive', 2),
    ],
  };
  expect(treeOf(trace).map(({ span: { name }, depth, afterMs }) => [name, depth, afterMs])).toEqual([
    ['receive', 0, 0],
    ['publish', 1, 2],
    ['process', 2, 7],
    ['delete', 1, 9],
  ]);
});

test('people see when, where, how long, and what became of it', () => {
  const dead = new Map([
    ['messaging.destination.partition.id', '3'],
    ['messaging.kafka.offset', '812'],
    ['sluice.dead_letter.code', 'FIELD_TYPE'],
    ['sluice.dead_letter.field', 'ip'],
    ['error.type', 'FIELD_TYPE'],
    ['sluice.sent_at', '2026-11-24T07:59:59.950Z'],
  ]);
  const process = span('process', 'receive', 1_500, {
    service: 'sluice-writer',
    durationMs: 7_300_000,
    tags: dead,
    links: [{ traceId: 'abcdef0123456789', spanId: 's' }],
  });
  const text = renderTraces(
    '6f9d',
    [{ traceId: 'abc', spans: [span('receive', undefined, 0), process] }],
    'http://jaeger/',
  );
  expect(text.split('\n')).toEqual([
    'event 6f9d',
    '',
    '2026-11-24 08:00:00.000 UTC  http://jaeger/trace/abc',
    '  +0.0 ms  receive    connector  5.0 ms',
    '   +1.5 s    process  writer      2.0 h  partition 3, offset 812 · dead letter FIELD_TYPE at ip · sent 07:59:59.950 · see abcdef01',
  ]);
});
