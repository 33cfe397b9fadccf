/** The few internals of kafkajs 2.2.4 that kafkajs-patches.ts corrects; its version guard keeps this page true. */

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
      topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
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
