import { expect, test } from 'vitest';
import { createLogger } from '../../shared/log.ts';

test('a line has the ids of the trace that it belongs to, when there is one', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  let active: object = {};
  const log = createLogger({ service: 'writer', level: 'info', destination, fields: () => active });
  log.info({ partitions: 3 }, 'assigned');
  active = { trace_id: 't', span_id: 's' };
  log.warn({ what: 'postgres' }, 'outage: waiting');
  const parsed = lines.map((line): unknown => JSON.parse(line));
  expect(parsed[0]).toMatchObject({ level: 'info', service: 'writer', partitions: 3, msg: 'assigned' });
  expect(parsed[0]).not.toHaveProperty('trace_id');
  expect(parsed[1]).toMatchObject({ level: 'warn', trace_id: 't', span_id: 's', what: 'postgres' });
});
