import { describe, expect, test } from 'vitest';
import { Pollers } from '../../../services/connector/pollers.ts';

const asked = 10;
const never = new AbortController().signal;

function polling(pollers: Pollers, of = 8): number {
  const count = Array.from({ length: of }, (_, index) => pollers.wants(index)).filter(Boolean).length;
  expect(pollers.polling).toBe(count);
  return count;
}

function answers(pollers: Pollers, count: number, messages: number): void {
  for (let i = 0; i < count; i++) pollers.received(messages, asked);
}

describe('Pollers', () => {
  test('all poll at first, two a quiet queue, all of them a full one, and two again once it is empty', () => {
    const pollers = new Pollers(8);
    expect(polling(pollers)).toBe(8);
    answers(pollers, 20, 1);
    expect(polling(pollers)).toBe(2);
    answers(pollers, 12, 10);
    expect(polling(pollers)).toBe(8);
    answers(pollers, 100, 10);
    expect(polling(pollers)).toBe(8);
    answers(pollers, 40, 0);
    expect(polling(pollers)).toBe(2);
  });

  test('they come to as many as get answers that are a sixth to a third full', () => {
    const pollers = new Pollers(64);
    // Twenty messages are there whenever all have polled once.
    for (let round = 0; round < 500; round++) {
      const share = Math.min(asked, 20 / polling(pollers, 64));
      answers(pollers, polling(pollers, 64), share);
    }
    expect(polling(pollers, 64)).toBeGreaterThanOrEqual(6);
    expect(polling(pollers, 64)).toBeLessThanOrEqual(14);
  });

  test('two poll while one gets all that comes and the others are sent away with nothing', () => {
    const pollers = new Pollers(8);
    for (let tick = 0; tick < 100; tick++) {
      const others = polling(pollers) - 1;
      answers(pollers, 1, asked);
      answers(pollers, others, 0);
    }
    expect(polling(pollers)).toBe(2);
  });

  test('an empty answer now and then does not thin out those who read a backlog', () => {
    const pollers = new Pollers(8);
    for (let i = 0; i < 20; i++) {
      answers(pollers, 15, asked);
      answers(pollers, 1, 0);
      expect(polling(pollers)).toBe(8);
    }
  });

  test('all poll a queue that never gives more than four at a time', () => {
    const pollers = new Pollers(8);
    answers(pollers, 20, 0);
    answers(pollers, 40, 4);
    expect(polling(pollers)).toBe(8);
  });

  test('of answers of two it matters whether two were asked for', () => {
    const pollers = new Pollers(8);
    answers(pollers, 20, 0);
    for (let i = 0; i < 40; i++) pollers.received(2, 2);
    expect(polling(pollers)).toBe(8);
  });

  test('a single receiver always polls', () => {
    const pollers = new Pollers(1);
    answers(pollers, 40, 0);
    expect(pollers.wants(0)).toBe(true);
    expect(pollers.wants(1)).toBe(false);
  });

  test('who is parked is woken by the answer that wants it, one at a time', async () => {
    const pollers = new Pollers(4);
    answers(pollers, 20, 0);
    const woken: number[] = [];
    const parked = [2, 3].map((index) => pollers.park(index, never).then(() => woken.push(index)));
    while (!pollers.wants(2)) pollers.received(asked, asked);
    await parked[0];
    expect(woken).toEqual([2]);
    pollers.received(asked, asked);
    await parked[1];
    expect(woken).toEqual([2, 3]);
  });

  test('and by the end', async () => {
    const pollers = new Pollers(4);
    answers(pollers, 20, 0);
    const stop = new AbortController();
    const parked = pollers.park(3, stop.signal);
    stop.abort();
    await parked;
    await pollers.park(3, stop.signal);
    expect(pollers.wants(3)).toBe(false);
  });
});
