import type { Message } from 'kafkajs';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import fetchV11 from 'kafkajs/src/protocol/requests/fetch/v11/response.js';
import produce, {
  type ProduceArguments,
  type TopicData,
} from 'kafkajs/src/protocol/requests/produce/index.js';
import { decodeRecords } from './decode-records.ts';
import { encodeRecords } from './encode-records.ts';
import type { OutgoingRecord } from './ports.ts';
import { IncomingBlock, OutgoingBlock } from './record-block.ts';

/** The newest versions that kafkajs 2.2.4 speaks, and every broker since 2.3 (fetch) and 2.1 (produce). For others its own code does the work. */
const produceVersion = 7;
/** Of a request: above it, room is made to measure. */
const largeBytes = 65_536;
/** Of a produce request, its one topic's name included: 249 characters at most. */
const headBytes = 512;

/** Puts our decoder in the place of kafkajs's: one {@link IncomingBlock} a partition. What it leaves alone, kafkajs decodes. */
export function patchFetchDecoding(): void {
  const { decode } = fetchV11;
  fetchV11.decode = async (answer) => (await decodeFetchV11(answer)) ?? decode(answer);
}

/** Puts our encoder in the place of kafkajs's for requests made of {@link OutgoingBlock}s. */
export function patchProduceEncoding(): void {
  const { protocol } = produce;
  produce.protocol = ({ version }) => {
    const make = protocol({ version });
    return (given) => {
      const blocks = blocksOf(given.topicData);
      if (blocks === undefined) return make(given);
      if (version !== produceVersion) return make({ ...given, topicData: unpacked(blocks) });
      const made = make({ ...given, topicData: [] });
      return { ...made, request: { ...made.request, encode: () => encodeProduceV7(given, blocks) } };
    };
  };
}

/**
 * kafkajs doubles its buffers, and zeroes them, as it copies a request from one to the next: a MiB makes three of 2 MiB. What is large
 * gets the room that it takes.
 */
export function patchEncoderGrowth(): void {
  const { ensureAvailable } = Encoder.prototype;
  Encoder.prototype.ensureAvailable = function ensureRoom(bytes) {
    const length = this.offset + bytes;
    if (bytes < largeBytes || length <= this.buf.length) return ensureAvailable.call(this, bytes);
    const grown = Buffer.allocUnsafe(length);
    this.buf.copy(grown, 0, 0, this.offset);
    this.buf = grown;
  };
}

interface BlocksOfTopic {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly block: OutgoingBlock }[];
}

/** Undefined unless every partition is given one block and nothing else. */
function blocksOf(data: readonly TopicData[]): BlocksOfTopic[] | undefined {
  const topics: BlocksOfTopic[] = [];
  for (const { topic, partitions } of data) {
    const blocks: { partition: number; block: OutgoingBlock }[] = [];
    for (const { partition, messages } of partitions) {
      const [block, more] = messages;
      if (!(block instanceof OutgoingBlock) || more !== undefined) return undefined;
      blocks.push({ partition: Number(partition), block });
    }
    topics.push({ topic, partitions: blocks });
  }
  return topics;
}

function unpacked(topics: readonly BlocksOfTopic[]): TopicData[] {
  return topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, block }) => ({
      partition,
      messages: block.records.map((record) => toMessage(partition, record)),
    })),
  }));
}

function toMessage(partition: number, record: OutgoingRecord): Message {
  return {
    partition,
    key: record.key,
    value: record.value,
    timestamp: String(record.timestampMs),
    ...(record.headers === undefined ? {} : { headers: { ...record.headers } }),
  };
}

/** `transactional id | acks | timeout | topics: name | partitions: number | record batch`. */
async function encodeProduceV7(given: ProduceArguments, topics: readonly BlocksOfTopic[]): Promise<Encoder> {
  const batches = new Map<OutgoingBlock, Buffer>();
  for (const { partitions } of topics) {
    for (const { block } of partitions) batches.set(block, await encodeRecords(block.records, block.codec));
  }
  const request = new Encoder();
  request.ensureAvailable([...batches.values()].reduce((sum, { length }) => sum + length + 8, headBytes));
  request.writeString(null).writeInt16(given.acks).writeInt32(given.timeout).writeInt32(topics.length);
  for (const { topic, partitions } of topics) {
    request.writeString(topic).writeInt32(partitions.length);
    for (const { partition, block } of partitions) {
      request.writeInt32(partition).writeBytes(batches.get(block) ?? Buffer.alloc(0));
    }
  }
  return request;
}

/** The answer in the terms of kafkajs's own decoder; undefined when any partition of it is for that one. */
async function decodeFetchV11(answer: Buffer): Promise<object | undefined> {
  let at = 0;
  const int32 = () => answer.readInt32BE((at += 4) - 4);
  const int16 = () => answer.readInt16BE((at += 2) - 2);
  const int64 = () => String(answer.readBigInt64BE((at += 8) - 8));
  const clientSideThrottleTime = int32();
  const errorCode = int16();
  const sessionId = int32();
  const responses: object[] = [];
  const topics = int32();
  for (let t = 0; t < topics; t += 1) {
    const nameBytes = int16();
    const topicName = answer.toString('utf8', at, (at += nameBytes));
    const partitions: object[] = [];
    const count = int32();
    for (let p = 0; p < count; p += 1) {
      const head = {
        partition: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64(),
        lastStartOffset: int64(),
      };
      if (int32() > 0) return undefined;
      const preferredReadReplica = int32();
      const bytes = Math.max(0, int32());
      const found = await decodeRecords(answer.subarray(at, (at += bytes)));
      if (found === undefined) return undefined;
      const messages = found.lastOffset < 0n ? [] : [new IncomingBlock(found.records, found.lastOffset)];
      partitions.push({ ...head, abortedTransactions: [], preferredReadReplica, messages });
    }
    responses.push({ topicName, partitions });
  }
  // kafkajs waits by itself for as long as the broker asks, and takes 0 for "the broker has waited".
  return { throttleTime: 0, clientSideThrottleTime, errorCode, sessionId, responses };
}
