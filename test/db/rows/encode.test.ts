import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { TokenEpoch } from '../../../db/queries/list-token-epochs.ts';
import { DataKeys } from '../../../db/rows/data-keys.ts';
import { encode, type EncodedBatch, type Encoding } from '../../../db/rows/encode.ts';
import { TokenEpochs } from '../../../db/rows/token-epochs.ts';
import { openField } from '../../../shared/crypto/field.ts';
import { newKeyPair, openSealed, randomKey } from '../../../shared/crypto/sealed-box.ts';
import { TransitSealer } from '../../../shared/crypto/transit.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';
import { userLogins, type UserLogin } from '../../../shared/streams/user-logins.ts';
import { dayOf } from '../../../shared/time.ts';
import { textsOf, uuidsOf } from '../../helpers/row-columns.ts';

const midnight = Date.parse('2026-11-25T00:00:00Z');
const ids = Array.from({ length: 9 }, (_, i) => `0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f${i}`);
const login = {
  user_id: 'u-1',
  app_version: '2.3.0',
  device_type: 'ios',
  ip: '2001:DB8::0:1',
  locale: null,
  device_id: 'd-1',
};

function setUp(epochs: readonly TokenEpoch[] = [{ epoch: 1, state: 'current' }]) {
  const pair = newKeyPair();
  const deks: Buffer[] = [];
  const transitKey = randomKey();
  const keyOf = async () => transitKey;
  const transit = new TransitSealer({ transitKey: keyOf });
  const encoding: Encoding<UserLogin> = {
    stream: userLogins,
    topic: 'raw',
    transit,
    tokenEpochs: new TokenEpochs({
      list: async () => epochs,
      peppers: { pepper: async (epoch) => ({ epoch, key: Buffer.alloc(32, epoch) }) },
      clock: () => midnight,
    }),
    dataKeys: new DataKeys({
      store: {
        dayKey: async () => ({ publicKey: pair.publicKey, destroyed: false }),
        insertDataKey: async (_, sealed) => BigInt(deks.push(openSealed(sealed, pair) ?? Buffer.alloc(0))),
      },
      table: 'user_logins',
      clock: () => midnight,
    }),
    clock: () => midnight,
  };
  return { encoding, transit, deks, keyOf };
}

function record(
  offset: number,
  value: Buffer | string | object,
  more: Partial<IncomingRecord> = {},
): IncomingRecord {
  const bytes = Buffer.isBuffer(value)
    ? value
    : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return {
    offset: BigInt(offset),
    key: Buffer.from(ids[offset] ?? ''),
    value: bytes,
    timestampMs: midnight,
    headers: {},
    ...more,
  };
}

function deksOf({ rows }: EncodedBatch): (bigint | undefined)[] {
  return [...rows.dekId].map((bytes) => bytes?.readBigInt64BE());
}

describe('encode', () => {
  test('rows by column, canonical, tokenised, sealed into their own cells', async () => {
    const { encoding, deks } = setUp();
    const records = [record(0, login), record(1, { ...login, ip: '2001:db8:0::1', locale: 'RU' })];
    const batch = await encode(encoding, [{ partition: 4, records }], new Map());
    expect(uuidsOf(batch.rows.eventId)).toEqual(ids.slice(0, 2));
    expect([...batch.rows.createDate.days()]).toEqual(['2026-11-25', '2026-11-25']);
    const [userId, deviceType, locale, appVersion, appVersionText] = batch.rows.clear;
    expect([userId, deviceType, locale, appVersionText].map(textsOf)).toEqual([
      ['u-1', 'u-1'],
      ['ios', 'ios'],
      ['null', 'RU'],
      ['2.3.0', '2.3.0'],
    ]);
    expect([...(appVersion ?? [])].map((bytes) => bytes?.readInt32BE())).toEqual([2_003_000, 2_003_000]);
    const maskedIp = textsOf(batch.rows.masked[0]);
    expect(maskedIp[0]).toMatch(/^t1:[\w-]{22}$/);
    expect(maskedIp[1]).toBe(maskedIp[0]);
    const cell = { table: 'user_logins', column: 'ip_sealed', day: '2026-11-25', eventId: ids[0] ?? '' };
    const sealed = [...(batch.rows.sealed[0] ?? [])][0] ?? Buffer.alloc(0);
    expect(openField(sealed, cell, deks[0] ?? Buffer.alloc(32))).toBe('2001:db8::1');
    expect(
      openField(sealed, { ...cell, eventId: ids[1] ?? '' }, deks[0] ?? Buffer.alloc(32)),
    ).toBeUndefined();
  });

  test('the day is that of SentTimestamp, on both sides of midnight, each under its own key', async () => {
    const { encoding } = setUp();
    const records = [record(0, login, { timestampMs: midnight - 1 }), record(1, login)];
    const batch = await encode(encoding, [{ partition: 0, records }], new Map());
    expect([...batch.rows.createDate.days()]).toEqual(['2026-11-24', '2026-11-25']);
    expect(deksOf(batch)).toEqual([1n, 2n]);
  });

  test('a late reader does not wait for a transit key that was destroyed; inside the horizon it does', async () => {
    const { encoding, transit, keyOf } = setUp();
    const old = Date.parse('2026-11-09T12:00:00Z');
    for (const sentAtMs of [midnight, old])
      await transit.prepare(new Date(sentAtMs).toISOString().slice(0, 10));
    const sealedAt = (i: number, sentAtMs: number) =>
      record(
        i,
        transit.seal(Buffer.from(JSON.stringify(login)), { eventId: ids[i] ?? '', sentAtMs }) ??
          Buffer.alloc(0),
        { timestampMs: sentAtMs },
      );
    const records = [sealedAt(0, old), sealedAt(1, midnight)];
    const gone = (...days: string[]): Encoding<UserLogin> => ({
      ...encoding,
      transit: new TransitSealer({
        transitKey: (day) => (days.includes(day) ? Promise.resolve(undefined) : keyOf()),
      }),
    });
    const batch = await encode(gone('2026-11-09'), [{ partition: 0, records }], new Map());
    expect(batch.dead.map(({ reason }) => reason.code)).toEqual(['TRANSIT_KEY_GONE']);
    expect(uuidsOf(batch.rows.eventId)).toEqual([ids[1]]);
    const waiting = encode(gone('2026-11-25'), [{ partition: 0, records }], new Map());
    await expect(waiting).rejects.toMatchObject({ code: 'KEY_MISSING', action: 'retry' });
  });

  test('a body sealed in transit opens only under its own identity', async () => {
    const { encoding, transit } = setUp();
    await transit.prepare('2026-11-25');
    const identity = { eventId: ids[0] ?? '', sentAtMs: midnight };
    const sealed = transit.seal(Buffer.from(JSON.stringify(login)), identity) ?? Buffer.alloc(0);
    const records = [record(0, sealed), record(1, sealed), record(2, sealed, { timestampMs: midnight + 1 })];
    const batch = await encode(encoding, [{ partition: 0, records }], new Map());
    expect(uuidsOf(batch.rows.eventId)).toEqual([ids[0]]);
    expect(batch.dead.map(({ reason }) => reason.code)).toEqual([
      'TRANSIT_OPEN_FAILED',
      'TRANSIT_OPEN_FAILED',
    ]);
  });

  test('in a window every row has a token of either epoch; outside it there is no prior one', async () => {
    const { encoding } = setUp([
      { epoch: 1, state: 'retired' },
      { epoch: 2, state: 'prior' },
      { epoch: 3, state: 'current' },
    ]);
    const slices = [{ partition: 0, records: [record(0, login)] }];
    const { rows } = await encode(encoding, slices, new Map());
    expect(rows.epochs).toEqual({ current: 3, prior: 2 });
    expect(rows.masked.map(([token]) => String(token).slice(0, 3))).toEqual(['t3:', 't3:']);
    expect(rows.prior.map(([token]) => String(token).slice(0, 3))).toEqual(['t2:', 't2:']);
    const outside = await encode(setUp().encoding, slices, new Map());
    expect(outside.rows.epochs).toEqual({ current: 1, prior: undefined });
    expect(outside.rows.prior).toEqual([]);
  });

  test('one batch of a hundred days, as a late reader may have it: every day under its own keys', async () => {
    const { encoding, transit } = setUp();
    const records = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const identity = { eventId: randomUUID(), sentAtMs: midnight - i * 86_400_000 };
        await transit.prepare(dayOf(identity.sentAtMs));
        const value = transit.seal(Buffer.from(JSON.stringify(login)), identity) ?? Buffer.alloc(0);
        return record(0, value, { key: Buffer.from(identity.eventId), timestampMs: identity.sentAtMs });
      }),
    );
    const batch = await encode(encoding, [{ partition: 0, records }], new Map());
    expect(batch.dead).toEqual([]);
    expect(new Set(batch.rows.createDate.days()).size).toBe(100);
    expect(new Set(deksOf(batch)).size).toBe(100);
  });

  test('a forged day in a sealed value asks the vault for nothing', async () => {
    const { encoding } = setUp();
    const asked: string[] = [];
    const transit = new TransitSealer({
      transitKey: async (day) => {
        asked.push(day);
        return undefined;
      },
    });
    const forged = Buffer.alloc(80, 7);
    forged.set([1, 1, 0, 0, 0, 9]);
    const batch = await encode(
      { ...encoding, transit },
      [{ partition: 0, records: [record(0, forged)] }],
      new Map(),
    );
    expect(batch.dead[0]?.reason.code).toBe('TRANSIT_OPEN_FAILED');
    expect(asked).toEqual([]);
  });

  test('identity comes from the origin, then the message-id header, then the key', async () => {
    const { encoding } = setUp();
    const header = (text: string) => Buffer.from(text);
    const records = [
      record(0, login, { key: header('group-1'), headers: { 'message-id': header(ids[5] ?? '') } }),
      record(1, login, {
        headers: { 'origin-id': header(ids[6] ?? ''), 'origin-sent-at': header(String(midnight - 5)) },
      }),
      record(2, login, { key: header('not a MessageId') }),
      record(3, login, {
        headers: { 'origin-id': header(ids[6] ?? ''), 'origin-sent-at': header('yesterday') },
      }),
      record(4, login, { timestampMs: -1 }),
    ];
    const batch = await encode(encoding, [{ partition: 0, records }], new Map());
    expect(uuidsOf(batch.rows.eventId)).toEqual([ids[5], ids[6]]);
    expect([...batch.rows.createDate.days()]).toEqual(['2026-11-25', '2026-11-24']);
    expect(batch.dead.map(({ record, reason }) => [Number(record.offset), reason.code])).toEqual([
      [2, 'IDENTITY_INVALID'],
      [3, 'IDENTITY_INVALID'],
      [4, 'IDENTITY_INVALID'],
    ]);
  });

  test('the ledger counts each partition, dead letters and unknown fields included', async () => {
    const { encoding } = setUp();
    const slices = [
      { partition: 0, records: [record(0, login), record(1, 'not json')] },
      { partition: 1, records: [record(2, { ...login, extra: 1 })] },
      { partition: 0, records: [record(3, login)] },
    ];
    const batch = await encode(encoding, slices, new Map());
    const counts = { topic: 'raw', duplicate: 0 };
    expect(batch.ledger).toEqual([
      {
        ...counts,
        partition: 0,
        firstOffset: 0n,
        lastOffset: 3n,
        read: 3,
        inserted: 2,
        dead: 1,
        unknownFields: 0,
      },
      {
        ...counts,
        partition: 1,
        firstOffset: 2n,
        lastOffset: 2n,
        read: 1,
        inserted: 1,
        dead: 0,
        unknownFields: 1,
      },
    ]);
    expect(Array.from(batch.partitions)).toEqual([0, 1, 0]);
  });
});
