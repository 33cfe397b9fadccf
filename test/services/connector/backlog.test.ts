import { expect, test } from 'vitest';
import { Backlog } from '../../../services/connector/backlog.ts';

test('a queue has a backlog once two answers of each receiver in a row were full, until one is not', () => {
  const backlog = new Backlog(2);
  for (let i = 0; i < 3; i += 1) backlog.received(10, 10);
  expect(backlog.deep).toBe(false);
  backlog.received(2, 2);
  expect(backlog.deep).toBe(true);
  backlog.received(9, 10);
  expect(backlog.deep).toBe(false);
  for (let i = 0; i < 3; i += 1) backlog.received(10, 10);
  backlog.received(0, 10);
  expect(backlog.deep).toBe(false);
});
