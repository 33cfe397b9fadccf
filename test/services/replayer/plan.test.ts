import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parsePlan,
  planHash,
  planText,
  storedPlan,
  type ReplayPlan,
} from '../../../services/replayer/plan.ts';
import { dayOfRecord, selectorOf } from '../../../services/replayer/select.ts';

const id = '3f2b0c7e-0000-4000-8000-000000000001';
const ms = fc.integer({ min: Date.parse('2026-01-01'), max: Date.parse('2026-12-31') });
const iso = ms.map((at) => new Date(at).toISOString());
const offset = fc.bigInt({ min: 0n, max: 10n ** 15n }).map(String);

const plans: fc.Arbitrary<ReplayPlan> = fc.record({
  format: fc.constant(1 as const),
  job: fc.stringMatching(/^[a-z][a-z0-9_-]{0,29}$/),
  stream: fc.constant('user_logins'),
  transform: fc.integer({ min: 1, max: 9 }),
  source: fc.constantFrom('raw', 'dead'),
  topic: fc.constant('raw'),
  time: fc.record({ from: fc.option(iso), to: fc.option(iso) }),
  filter: fc.record({
    codes: fc.option(fc.array(fc.constantFrom('FIELD_TYPE', 'IP_ADDRESS'))),
    eventIds: fc.option(fc.array(fc.uuid({ version: 4 }))),
    userIds: fc.option(fc.array(fc.string())),
  }),
  ranges: fc.array(fc.record({ partition: fc.nat(31), from: offset, to: offset })),
  target: fc.constantFrom('live', 'shadow', 'dry-run'),
  perSecond: fc.option(fc.integer({ min: 1, max: 1_000_000 })),
  concurrency: fc.integer({ min: 1, max: 64 }),
  maxLiveLag: fc.option(fc.integer({ min: 1, max: 1_000_000 })),
  maxLatencyMs: fc.option(fc.integer({ min: 1, max: 1_000 })),
  acceptDead: fc.boolean(),
  expected: fc.array(fc.record({ partition: fc.nat(31), day: fc.constant('2026-11-24'), records: fc.nat() })),
  plannedAt: iso,
});

describe('a plan', () => {
  test('comes back from its file, and from the database with its keys in another order, under the same hash', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        expect(parsePlan(planText(plan))).toEqual(plan);
        const shuffled = storedPlan(Object.fromEntries(Object.entries(plan).toReversed()));
        expect(planHash(shuffled)).toEqual(planHash(plan));
      }),
    );
  });

  test('that was changed anywhere is refused', () => {
    const [plan] = fc.sample(plans, { numRuns: 1, seed: 7 });
    if (plan === undefined) throw new Error('no plan');
    const text = planText({ ...plan, perSecond: 100, target: 'live' });
    expect(() => parsePlan(text.replace('"perSecond": 100', '"perSecond": 101'))).toThrow(
      'the plan was changed',
    );
    expect(() => parsePlan(text.replace('"live"', '"dry-run"'))).toThrow('the plan was changed');
    expect(() => parsePlan(text.replace('"format": 1', '"format": 2'))).toThrow(
      'not one of this version (format)',
    );
    expect(() => parsePlan(text.slice(0, -9))).toThrow('not JSON');
  });

  test('selects by the time of the event, its end excluded, also where it was redriven', () => {
    const [base] = fc.sample(plans, { numRuns: 1, seed: 7 });
    if (base === undefined) throw new Error('no plan');
    const record = (timestampMs: number, headers: Record<string, Buffer> = {}) => ({
      offset: 0n,
      key: Buffer.from(id),
      value: Buffer.alloc(0),
      timestampMs,
      headers,
    });
    fc.assert(
      fc.property(ms, ms, ms, (from, to, at) => {
        const time = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
        const filter = { codes: null, eventIds: null, userIds: null };
        const selects = selectorOf({ ...base, source: 'raw', time, filter });
        const expected = from <= at && at < to;
        expect(selects(record(at))).toBe(expected);
        const redriven = record(to + 1, {
          'origin-id': Buffer.from(id),
          'origin-sent-at': Buffer.from(`${at}`),
        });
        expect(selects(redriven)).toBe(expected);
        expect(dayOfRecord(redriven)).toBe(new Date(at).toISOString().slice(0, 10));
      }),
    );
    expect(dayOfRecord({ ...record(Number.NaN), key: Buffer.from('none') })).toBe('none');
  });
});
