import { randomUUID } from 'node:crypto';
import type { PreparingConnection } from '../../db/client.ts';
import type { LedgerEntry } from '../../db/queries/insert-ledger.ts';
import type { DeadRecord, Verdicts } from '../../db/rows/encode.ts';
import { makeDurable, type Steps } from '../../db/rows/process-batch.ts';
import { createSteps } from '../../services/writer/steps.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { Publisher } from '../../shared/kafka/publisher.ts';
import { createLogger } from '../../shared/log.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { dayOf, type Clock } from '../../shared/time.ts';
import type { Peppers, TransitKeys } from '../../shared/vault/ports.ts';
import { FakeKafka } from './fake-kafka.ts';

/** A login as far as a test cares. */
export interface TestLogin {
  readonly eventId?: string;
  readonly sentAtMs: number;
  readonly userId?: string;
  readonly ip?: string;
  readonly deviceId?: string;
}

/** The writer's steps on a real database and a vault; the dead-letter topic in memory. Without Kafka, its queue and its outages. */
export class TestWriter implements AsyncDisposable, Disposable {
  readonly steps: Steps & { retireKeys(): Promise<void> };
  readonly #kafka = new FakeKafka();
  readonly #transit: TransitSealer;
  #offset = 0n;

  constructor(parts: { connection: PreparingConnection; vault: TransitKeys & Peppers; clock: Clock }) {
    this.#kafka.createTopic('dead', 1);
    this.#transit = new TransitSealer(parts.vault);
    this.steps = createSteps({
      stream: userLogins,
      topic: 'raw',
      connection: parts.connection,
      deadLetters: new Publisher<DeadRecord>({
        producer: this.#kafka.producer(),
        topic: 'dead',
        partitions: 1,
        lingerMs: 0,
        log: createLogger({ service: 'test', level: 'silent' }),
        onAcked: () => {},
        onFatal: () => {},
      }),
      transitKeys: parts.vault,
      peppers: parts.vault,
      clock: parts.clock,
      writtenBy: 'test',
    });
  }

  /** The codes of the dead letters so far. */
  get deadCodes(): string[] {
    return this.#kafka
      .partitions('dead')
      .flat()
      .map(({ headers }) => headers['dlq.code']?.toString('latin1') ?? '');
  }

  /** A record as the connector makes it: sealed in transit. */
  async record(login: TestLogin): Promise<IncomingRecord> {
    const { sentAtMs, eventId = randomUUID() } = login;
    const body = {
      user_id: login.userId ?? 'u-1',
      app_version: '2.3.0',
      device_type: 'ios',
      ip: login.ip ?? '203.0.113.9',
      device_id: login.deviceId ?? 'd-1',
    };
    await this.#transit.prepare(dayOf(sentAtMs));
    const value = this.#transit.seal(Buffer.from(JSON.stringify(body)), { eventId, sentAtMs });
    if (value === undefined) throw new Error('no transit key');
    return { offset: this.#offset++, key: Buffer.from(eventId), value, timestampMs: sentAtMs, headers: {} };
  }

  /** Encodes and stores them as one batch, whatever it throws. */
  async write(records: readonly IncomingRecord[]): Promise<LedgerEntry[]> {
    const slices = [{ partition: 0, records }];
    const verdicts: Verdicts = new Map();
    return makeDurable(this.steps, slices, await this.steps.encode(slices, verdicts), verdicts);
  }

  async writeLogins(logins: readonly TestLogin[]): Promise<LedgerEntry[]> {
    return this.write(await Promise.all(logins.map((login) => this.record(login))));
  }

  /** Where the database outlives it. */
  [Symbol.dispose](): void {
    void this.steps.retireKeys();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.steps.retireKeys();
  }
}
