import kafkajs from 'kafkajs';
import kafkajsPackage from 'kafkajs/package.json' with { type: 'json' };
import Connection from 'kafkajs/src/network/connection.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import errorTable from 'kafkajs/src/protocol/error.js';
import produceV3 from 'kafkajs/src/protocol/requests/produce/v3/response.js';
import produceV5 from 'kafkajs/src/protocol/requests/produce/v5/response.js';
import produceV6 from 'kafkajs/src/protocol/requests/produce/v6/response.js';
import produceV7 from 'kafkajs/src/protocol/requests/produce/v7/response.js';
import { PipelineError } from '../errors.ts';
import { patchConsumerGroup } from './kafkajs-assignment.ts';
import { causesOf } from './classify.ts';
import { patchEncoderGrowth, patchFetchDecoding, patchProduceEncoding } from './kafkajs-protocol.ts';
import { zstdCodec } from './zstd-codec.ts';

/** The patches below reach into internals: no other version may meet them. */
const patchedVersion = '2.2.4';

/** What a broker said of one partition of a produce request. */
export interface ProducedPartition {
  readonly topicName: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: string;
}

/** Answers that kafkajs threw away when it made an error of their first failure. */
const answers = new WeakMap<object, readonly ProducedPartition[]>();
let patched = false;

/**
 * Corrects kafkajs for the whole process; calling again does nothing.
 * 1. zstd through {@link zstdCodec}. 2. No endless ~1 ms timer on every connection. 3. A produce answer in which one
 * partition failed keeps what it says of the others ({@link producedAnswer}). 4. {@link patchConsumerGroup}. 5. A connection that is opened again
 * begins with an empty buffer. 6. Records are decoded and encoded by us: {@link patchFetchDecoding}, {@link patchProduceEncoding}.
 * 7. {@link patchEncoderGrowth}.
 *
 * @throws PipelineError INTERNAL when kafkajs is of another version.
 */
export function patchKafkajs(version: string = kafkajsPackage.version): void {
  if (version !== patchedVersion) {
    throw new PipelineError('INTERNAL', `kafkajs is ${version}, its patches are for ${patchedVersion}`);
  }
  if (patched) return;
  patched = true;
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => zstdCodec;
  patchRequestQueue();
  patchConnection();
  for (const response of [produceV3, produceV5, produceV6, produceV7]) patchProduceResponse(response);
  patchConsumerGroup();
  patchFetchDecoding();
  patchProduceEncoding();
  patchEncoderGrowth();
}

/** The whole of the broker's answer behind an error of a produce request; undefined when there was none. */
export function producedAnswer(error: unknown): readonly ProducedPartition[] | undefined {
  for (const link of causesOf(error)) {
    const answer = answers.get(link);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** kafkajs's error for a code in a broker's answer. */
export function errorOfCode(code: number): Error {
  return errorTable.createErrorFromCode(code);
}

/**
 * kafkajs re-arms a timer after every check, with a negative delay as long as no throttling was ever asked for: one
 * wake-up a millisecond and connection, for ever. Nothing pending needs no timer: `push` arms one when it must queue.
 */
function patchRequestQueue(): void {
  const busyCheckMs = 10;
  RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests() {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
    const throttledMs = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      throttledMs > 0 ? throttledMs : busyCheckMs,
    );
  };
}

/**
 * kafkajs opens a broken connection again on the same object, and keeps what it had read of an answer that was cut off. What the new
 * socket brings is then read as the rest of the old answer: an exception in the socket's callback, which ends the process, or a wait
 * without end.
 */
function patchConnection(): void {
  const { connect } = Connection.prototype;
  const lengthBytes = 4;
  Connection.prototype.connect = function connectAnew() {
    if (!this.isConnected()) {
      this.chunks = [];
      this.bytesBuffered = 0;
      this.bytesNeeded = lengthBytes;
    }
    return connect.call(this);
  };
}

function patchProduceResponse(response: typeof produceV7): void {
  const { parse } = response;
  response.parse = async (data) => {
    try {
      return await parse(data);
    } catch (error) {
      if (typeof error === 'object' && error !== null) {
        const partitions = data.topics.flatMap(({ topicName, partitions }) =>
          partitions.map((partition) => ({ topicName, ...partition })),
        );
        answers.set(error, partitions);
      }
      throw error;
    }
  };
}
