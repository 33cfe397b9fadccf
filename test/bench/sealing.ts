import { randomUUID } from 'node:crypto';
import { DataKeys } from '../../db/rows/data-keys.ts';
import { encode, type Encoding } from '../../db/rows/encode.ts';
import { TokenEpochs, type Tokenizers } from '../../db/rows/token-epochs.ts';
import { sampleLogins, seededRandom } from '../../services/demo/sample-logins.ts';
import { FieldSealer } from '../../shared/crypto/field.ts';
import { newKeyPair, randomKey } from '../../shared/crypto/sealed-box.ts';
import { Tokenizer } from '../../shared/crypto/token.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { userLogins, type UserLogin } from '../../shared/streams/user-logins.ts';
import { dayOf } from '../../shared/time.ts';

/** CPU of the writer's encode, microseconds a record, with all of it and with parts taken out. */
export interface SealingSample {
  /** Transit seal opened, two fields sealed, two tokens. */
  readonly all: number;
  /** The same while a window between token epochs is open: four tokens. */
  readonly allInWindow: number;
  /** Without tokens. */
  readonly withoutTokens: number;
  /** Bodies as they came, nothing sealed, no tokens: parsing, validation and columns are left. */
  readonly bare: number;
}

const batchRecords = 5_000;
const batches = 12;

class NoSealer extends FieldSealer {
  override sealInto(_: Buffer, at: number): number {
    return at + 61;
  }
}

class NoDataKeys extends DataKeys {
  readonly #sealer = new NoSealer({
    dekId: 1n,
    day: dayOf(sentAtMs),
    table: userLogins.name,
    key: randomKey(),
  });
  override async sealerFor(): Promise<FieldSealer> {
    return this.#sealer;
  }
}

class NoTokenizer extends Tokenizer {
  override tokenInto(_: Buffer, at: number): number {
    return at + this.tokenBytes;
  }
}

class NoTokens extends TokenEpochs {
  readonly #tokenizers: Tokenizers = {
    current: new NoTokenizer({ epoch: 1, key: randomKey() }),
    prior: undefined,
  };
  override async tokenizers(): Promise<Tokenizers> {
    return this.#tokenizers;
  }
}

const sentAtMs = Date.now();

/**
 * Encodes the same records in four ways, in turns, so that whatever else the machine does hits all alike; each sample is one round.
 * In memory: no Kafka, no Postgres, no vault.
 */
export async function measureSealing(rounds: number): Promise<SealingSample[]> {
  const transitKey = randomKey();
  const transit = new TransitSealer({ transitKey: async () => transitKey });
  await transit.prepare(dayOf(sentAtMs));
  const { sealed, plain } = records(transit);
  const all = encodingOf(transit, dataKeys(), epochs(false));
  const ways: Readonly<Record<keyof SealingSample, () => Promise<number>>> = {
    all: () => cpuMicros(all, sealed),
    allInWindow: () => cpuMicros({ ...all, tokenEpochs: epochs(true) }, sealed),
    withoutTokens: () => cpuMicros({ ...all, tokenEpochs: new NoTokens(noEpochs) }, sealed),
    bare: () => cpuMicros(encodingOf(transit, new NoDataKeys(noKeys), new NoTokens(noEpochs)), plain),
  };
  const round = async (): Promise<SealingSample> => ({
    all: await ways.all(),
    bare: await ways.bare(),
    withoutTokens: await ways.withoutTokens(),
    allInWindow: await ways.allInWindow(),
  });
  // The first round is the compiler's.
  await round();
  const samples: SealingSample[] = [];
  for (let i = 0; i < rounds; i++) samples.push(await round());
  return samples;
}

async function cpuMicros(encoding: Encoding<UserLogin>, slice: IncomingRecord[]): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < batches; i++) {
    const batch = await encode(encoding, [{ partition: 0, records: slice }], new Map());
    if (batch.partitions.length !== batchRecords) throw new Error(`${batch.dead.length} dead letters`);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (batches * batchRecords);
}

function records(transit: TransitSealer): { sealed: IncomingRecord[]; plain: IncomingRecord[] } {
  const logins = sampleLogins(seededRandom(1));
  const plain = Array.from({ length: batchRecords }, (_, i): IncomingRecord => {
    const value = Buffer.from(JSON.stringify(logins.next().value));
    return { offset: BigInt(i), key: Buffer.from(randomUUID()), value, timestampMs: sentAtMs, headers: {} };
  });
  const sealed = plain.map((record) => {
    const identity = { eventId: record.key.toString('latin1'), sentAtMs };
    const value = transit.seal(record.value, identity);
    if (value === undefined) throw new Error('no transit key');
    return { ...record, value };
  });
  return { sealed, plain };
}

function encodingOf(transit: TransitSealer, keys: DataKeys, tokenEpochs: TokenEpochs): Encoding<UserLogin> {
  return { stream: userLogins, topic: 'raw', transit, dataKeys: keys, tokenEpochs, clock: Date.now };
}

const { publicKey } = newKeyPair();
const noKeys: ConstructorParameters<typeof DataKeys>[0] = {
  store: { dayKey: async () => ({ publicKey, destroyed: false }), insertDataKey: async () => 1n },
  table: userLogins.name,
  clock: Date.now,
};
const dataKeys = () => new DataKeys(noKeys);

const noEpochs: ConstructorParameters<typeof TokenEpochs>[0] = {
  list: async () => [{ epoch: 1, state: 'current' }],
  peppers: { pepper: async (epoch) => ({ epoch, key: randomKey() }) },
  clock: Date.now,
};
const epochs = (window: boolean) =>
  new TokenEpochs({
    ...noEpochs,
    list: async () =>
      window
        ? [
            { epoch: 1, state: 'prior' },
            { epoch: 2, state: 'current' },
          ]
        : [{ epoch: 1, state: 'current' }],
  });
