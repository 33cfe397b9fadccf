/** The few internals of kafkajs 2.2.4 that we correct or read with; the version guard of kafkajs-patches.ts keeps this page true. */

declare module 'kafkajs/src/network/connection.js' {
  export default class Connection {
    private constructor();
    /** What has been read of the next answer: chunks, their bytes, and how many make it whole. */
    chunks: Buffer[];
    bytesBuffered: number;
    bytesNeeded: number;
    isConnected(): boolean;
    connect: (this: Connection) => Promise<boolean>;
  }
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    constructor(options: {
      maxInFlightRequests: number | null;
      requestTimeout: number;
      enforceRequestTimeout: boolean;
      clientId: string;
      broker: string;
      logger: { debug(): void; warn(): void };
    });
    readonly pending: unknown[];
    throttledUntil: number;
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    checkPendingRequests(): void;
    scheduleCheckPendingRequests(): void;
    push(request: {
      entry: {
        correlationId: number;
        resolve?: (response: unknown) => void;
        reject?: (error: Error) => void;
      };
      expectResponse: boolean;
      sendRequest: () => void;
    }): void;
    fulfillRequest(response: { correlationId: number; payload: Buffer; size: number }): void;
    destroy(): void;
  }
}

declare module 'kafkajs/src/consumer/consumerGroup.js' {
  export interface OffsetManager {
    nextOffset(topic: string, partition: number): { toString(): string };
    resolveOffset(position: { topic: string; partition: number; offset: string }): void;
    commitOffsets(offsets: {
      topics: {
        topic: string;
        partitions: { partition: number; offset: string; metadata: string | null }[];
      }[];
    }): Promise<void>;
  }
  export default class ConsumerGroup {
    private constructor();
    offsetManager: OffsetManager | null;
    readonly logger: { warn(message: string, extra?: object): void };
    readonly cluster: {
      refreshMetadata(): Promise<void>;
      fetchTopicsOffset(
        topics: { topic: string; fromBeginning: boolean; partitions: { partition: number }[] }[],
      ): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>;
    };
    fetch: (this: ConsumerGroup, nodeId: string) => Promise<object[]>;
    recoverFromFetch: (this: ConsumerGroup, error: unknown) => Promise<void>;
  }
}

declare module 'kafkajs/src/protocol/requests/produce/*/response.js' {
  const response: {
    parse: (data: {
      topics: {
        topicName: string;
        partitions: { partition: number; errorCode: number; baseOffset: string }[];
      }[];
    }) => Promise<unknown>;
  };
  export default response;
}

declare module 'kafkajs/src/protocol/error.js' {
  const errors: { createErrorFromCode(code: number): Error };
  export default errors;
}

declare module 'kafkajs/src/cluster/index.js' {
  export interface PartitionData {
    partition: number;
    highWatermark: string;
    messages: { offset: string }[];
  }
  export interface Broker {
    fetch(request: {
      maxWaitTime: number;
      minBytes: number;
      maxBytes: number;
      topics: {
        topic: string;
        partitions: { partition: number; fetchOffset: string; maxBytes: number }[];
      }[];
    }): Promise<{ responses: { topicName: string; partitions: PartitionData[] }[] }>;
  }
  export default class Cluster {
    private constructor();
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    addTargetTopic(topic: string): Promise<void>;
    findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>;
    findBroker(options: { nodeId: string }): Promise<Broker>;
  }
}

declare module 'kafkajs/src/consumer/batch.js' {
  import type { Batch as PublicBatch } from 'kafkajs';
  import type { PartitionData } from 'kafkajs/src/cluster/index.js';
  /** Without records before the offset asked for, of aborted transactions, and of control. */
  const Batch: new (
    topic: string,
    fetchedOffset: string,
    data: PartitionData,
  ) => PublicBatch & {
    readonly fetchedOffset: string;
  };
  export default Batch;
}

declare module 'kafkajs/src/protocol/encoder.js' {
  export default class Encoder {
    constructor(initialSize?: number);
    /** What is written, and the room that it is written into. */
    readonly buffer: Buffer;
    buf: Buffer;
    readonly offset: number;
    ensureAvailable: (this: Encoder, bytes: number) => void;
    writeInt16(value: number): this;
    writeInt32(value: number): this;
    writeString(value: string | null): this;
    writeBytes(value: Buffer): this;
  }
}

declare module 'kafkajs/src/protocol/requests/fetch/v11/response.js' {
  const response: { decode: (answer: Buffer) => Promise<object> };
  export default response;
}

declare module 'kafkajs/src/protocol/requests/produce/index.js' {
  import type { Message } from 'kafkajs';
  import type Encoder from 'kafkajs/src/protocol/encoder.js';
  export interface TopicData {
    topic: string;
    partitions: { partition: string | number; messages: Message[]; firstSequence?: number }[];
  }
  export interface ProduceArguments {
    acks: number;
    timeout: number;
    compression: number;
    topicData: TopicData[];
    producerEpoch?: number;
  }
  type Make = (given: ProduceArguments) => { request: { encode: () => Promise<Encoder> }; response: object };
  const produce: { protocol: (wanted: { version: number }) => Make };
  export default produce;
}

declare module 'kafkajs/src/protocol/decoder.js' {
  const Decoder: new (bytes: Buffer) => { readonly offset: number };
  export default Decoder;
}

declare module 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js' {
  import type { KafkaMessage } from 'kafkajs';
  import type Decoder from 'kafkajs/src/protocol/decoder.js';
  const decodeMessages: (decoder: InstanceType<typeof Decoder>) => Promise<KafkaMessage[]>;
  export default decodeMessages;
}

declare module 'kafkajs/src/protocol/requests/produce/v7/request.js' {
  import type { ProduceArguments } from 'kafkajs/src/protocol/requests/produce/index.js';
  import type Encoder from 'kafkajs/src/protocol/encoder.js';
  const request: (given: ProduceArguments) => { encode: () => Promise<Encoder> };
  export default request;
}
