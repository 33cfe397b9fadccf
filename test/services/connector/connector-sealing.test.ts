import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TransitSealer } from '../../../shared/crypto/transit.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { drain, harness, topic } from './harness.ts';

beforeEach(() => vi.useFakeTimers({ now: Date.UTC(2026, 10, 24, 23, 59, 58) }));
afterEach(() => vi.useRealTimers());

const today = '2026-11-24';
const seconds = (n: number) => vi.advanceTimersByTimeAsync(n * 1000);

async function sealed(options: Parameters<typeof harness>[0] = {}) {
  const vault = new FakeVault();
  await vault.ensureTransitKey(today);
  const connector = harness({ sealer: new TransitSealer(vault), ...options });
  return { vault, connector };
}

async function opened(vault: FakeVault, value: Buffer | undefined, eventId: string, sentAtMs: number) {
  const opener = new TransitSealer(vault);
  await opener.prepare(dayOf(sentAtMs));
  const body = opener.open(value ?? Buffer.alloc(0), { eventId, sentAtMs });
  return body instanceof Buffer ? body.toString() : body;
}

describe('sealing in transit', () => {
  test('the value on the topic opens with the key of its day and its own identity, and not with another', async () => {
    const { vault, connector } = await sealed();
    const sentAtMs = Date.now();
    const id = connector.queue.send('{"ip":"203.0.113.7"}');
    connector.start();
    await seconds(1);
    await drain(connector);
    const [record] = connector.kafka.partitions(topic).flat();
    expect(record?.value.includes('203.0.113.7')).toBe(false);
    expect(await opened(vault, record?.value, id, sentAtMs)).toBe('{"ip":"203.0.113.7"}');
    expect(await opened(vault, record?.value, id, sentAtMs + 1)).toBe('TRANSIT_OPEN_FAILED');
  });

  test('a redriven message is sealed to its origin', async () => {
    const { vault, connector } = await sealed();
    const origin = '0b8f7a52-1111-4222-8333-944455566677';
    const originMs = Date.now() - 3_600_000;
    connector.queue.send('body', {
      attributes: { 'origin-id': Buffer.from(origin), 'origin-sent-at': Buffer.from(String(originMs)) },
    });
    connector.start();
    await seconds(1);
    await drain(connector);
    const [record] = connector.kafka.partitions(topic).flat();
    expect(await opened(vault, record?.value, origin, originMs)).toBe('body');
  });

  test('over midnight: waits for the key of the new day, keeps what it holds, says so once', async () => {
    const { vault, connector } = await sealed();
    connector.start();
    await seconds(5);
    for (let i = 0; i < 3; i++) connector.queue.send(`body ${i}`);
    await seconds(90);
    expect(connector.kafka.partitions(topic).flat()).toEqual([]);
    expect(connector.queue.inFlight).toBe(3);
    await vault.ensureTransitKey(addDays(today, 1));
    await seconds(5);
    expect(await drain(connector)).toMatchObject({ received: 3, deleted: 3, returned: 0 });
    const outages = connector.lines.filter((line) => line['msg'] === 'outage: waiting');
    expect(outages).toMatchObject([{ level: 'error', what: 'vault', code: 'KEY_MISSING' }]);
  });

  test('a vault that does not answer: the same, and it hands back after minutes', async () => {
    const { vault, connector } = await sealed();
    connector.start();
    await seconds(5);
    vault.failure = 'VAULT_UNAVAILABLE';
    await vault.ensureTransitKey(addDays(today, 1)).catch(() => undefined);
    connector.queue.send('body');
    await seconds(140);
    expect(connector.queue.inFlight).toBe(0);
    vault.failure = undefined;
    await vault.ensureTransitKey(addDays(today, 1));
    await seconds(30);
    expect(await drain(connector)).toMatchObject({ returned: 1, deleted: 1, published: 1 });
    expect(connector.queue.remaining).toBe(0);
  });

  test('stopped while waiting for a key: what is held is handed back', async () => {
    const { connector } = await sealed();
    connector.start();
    await seconds(5);
    for (let i = 0; i < 15; i++) connector.queue.send(`body ${i}`);
    await seconds(10);
    const { received, returned, published } = await drain(connector);
    expect(received).toBeGreaterThan(0);
    expect({ returned, published }).toEqual({ returned: received, published: 0 });
    expect(connector.queue.inFlight).toBe(0);
    expect(connector.queue.remaining).toBe(15);
  });

  test('a day that will never have a key stays in the queue and holds up nobody but its own group', async () => {
    const { connector } = await sealed({ fifo: true });
    const old = Date.now() - 30 * 86_400_000;
    const claim = {
      'origin-id': Buffer.from('0b8f7a52-1111-4222-8333-944455566677'),
      'origin-sent-at': Buffer.from(String(old)),
    };
    connector.queue.send('too old', { groupId: 'a', attributes: claim });
    connector.queue.send('behind it', { groupId: 'a' });
    connector.queue.send('another group', { groupId: 'b' });
    connector.start();
    await seconds(5);
    expect(
      connector.kafka
        .partitions(topic)
        .flat()
        .map((r) => r.key.toString()),
    ).toEqual(['b']);
    const counts = await drain(connector);
    expect(counts).toMatchObject({ unsealable: 1, deleted: 1 });
    expect(connector.queue.remaining).toBe(2);
  });

  test('such a message comes again and again without using anything up', async () => {
    const { vault, connector } = await sealed({ maxMessages: 10 });
    await vault.ensureTransitKey(addDays(today, 1));
    connector.queue.send('too old', {
      attributes: {
        'origin-id': Buffer.from('0b8f7a52-1111-4222-8333-944455566677'),
        'origin-sent-at': Buffer.from(String(Date.now() - 30 * 86_400_000)),
      },
    });
    connector.start();
    await seconds(500);
    connector.queue.send('another');
    await seconds(10);
    const counts = await drain(connector);
    expect(counts.deleted).toBe(1);
    expect(counts.unsealable).toBeGreaterThan(10);
  });
});
