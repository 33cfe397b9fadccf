/** A message as received: what the connector needs of it and nothing else. */
export interface QueueMessage {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  /** SQS `SentTimestamp`, milliseconds since the epoch. */
  readonly sentAtMs: number;
  readonly receiveCount: number;
  /** Present on FIFO queues (and where a standard queue's producer asked for fair queueing). */
  readonly groupId?: string;
  /** String, Number and Binary message attributes, as bytes. */
  readonly attributes: Readonly<Record<string, Buffer>>;
  /** `AWSTraceHeader`, when the producer set one. */
  readonly traceHeader?: string;
}

/** What the answer to a batch call says of one entry that failed. `senderFault`: asking again cannot help. */
export interface FailedEntry {
  readonly receiptHandle: string;
  readonly code: string;
  readonly senderFault: boolean;
}

export interface ReceiveOptions {
  /** 1–10. */
  readonly max: number;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  /**
   * Asked once an answer has begun and before it is read, with its size in bytes, undefined where that is not known. False leaves it: its
   * messages come again after the visibility timeout. Asked again when the call is made again.
   */
  readonly admit?: ((bytes: number | undefined) => boolean | Promise<boolean>) | undefined;
}

/** The four SQS calls of a receiver, narrowed (ReceiveMessage, DeleteMessageBatch, ChangeMessageVisibilityBatch, GetQueueAttributes). */
export interface Queue {
  /**
   * Long poll for up to `max` messages.
   * @throws PipelineError SQS_UNAVAILABLE, SQS_FORBIDDEN, SQS_QUEUE_MISSING; resolves empty when `signal` aborts.
   */
  receive(options: ReceiveOptions): Promise<QueueMessage[]>;
  /** At most ten receipt handles. Returns those that failed. Throws as {@link receive} does when the whole call failed. */
  delete(receiptHandles: readonly string[]): Promise<FailedEntry[]>;
  /** At most ten. 0 seconds hands them back. Returns those that failed. Throws as {@link receive} does when the whole call failed. */
  changeVisibility(receiptHandles: readonly string[], seconds: number): Promise<FailedEntry[]>;
  attributes(): Promise<QueueAttributes>;
}

export interface QueueAttributes {
  readonly visibilityTimeoutSeconds: number;
  readonly fifo: boolean;
  /** Waiting, in flight and delayed: SQS calls all of them approximate. */
  readonly visible: number;
  readonly inFlight: number;
  readonly delayed: number;
}
