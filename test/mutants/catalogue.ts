/** One way to break what Sluice promises: a piece of source, what it becomes, and the tests that must fail because of it. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Files under `test`, without `.test.ts`. Each of them must fail. */
  readonly caughtBy: readonly string[];
}

export const mutants: readonly Mutant[] = [
  {
    name: 'commit before insert',
    file: 'services/writer/writer.ts',
    find: '        const finished = finish({ slices, encoded, verdicts, markDurable, observed });',
    replace: `        for (const mark of markDurable) mark();
        committer.advance(watermark.position, 1_000);
        const finished = finish({ slices, encoded, verdicts, markDurable, observed });`,
    caughtBy: ['services/writer/writer'],
  },
  {
    name: 'commit past what is not durable',
    file: 'services/writer/watermark.ts',
    find: 'while (ranges[durable]?.durable === true) durable += 1;',
    replace: 'durable = ranges.findLastIndex((range) => range.durable) + 1;',
    caughtBy: ['services/writer/watermark'],
  },
  {
    name: 'keep what was queued when the assignment changes',
    file: 'services/writer/writer.ts',
    find: '        queue.clear();\n',
    replace: '',
    caughtBy: ['services/writer/writer-assignment'],
  },
  {
    name: 'delete before acknowledgement',
    file: 'services/connector/receiver.ts',
    find: '      publisher.push(item.trace === undefined ? record : item.trace.outgoing(record), item);\n',
    replace: `      publisher.push(record, item);
      void options.queue.delete([item.receiptHandle]);\n`,
    caughtBy: ['services/connector/connector'],
  },
  {
    name: 'skip the check of each partition in the answer',
    file: 'shared/kafka/kafkajs-producer.ts',
    find: '  if (found === undefined) return unanswered(partition);\n  if (found.errorCode !== 0) {',
    replace:
      '  if (found === undefined) return { partition, baseOffset: 0n };\n  if (found.errorCode !== 0) {',
    caughtBy: ['shared/kafka/kafkajs-producer.int'],
  },
  {
    name: 'one partition acknowledged, all acknowledged',
    file: 'shared/kafka/publisher.ts',
    find: "      if (ack !== undefined && 'baseOffset' in ack) items",
    replace: "      if (acks.some((one) => 'baseOffset' in one)) items",
    caughtBy: ['shared/kafka/publisher'],
  },
  {
    name: 'acknowledged by the leader alone',
    file: 'shared/kafka/kafkajs-producer.ts',
    find: '        acks: -1,',
    replace: '        acks: 1,',
    caughtBy: ['faults/too-few-replicas.fault'],
  },
  {
    name: 'drop ON CONFLICT',
    file: 'db/queries/insert-rows.ts',
    find: '\n      on conflict do nothing`',
    replace: '`',
    caughtBy: ['services/writer/insert-batch.int', 'faults/sqs-delivered-twice.fault'],
  },
  {
    name: 'the ledger in a transaction of its own',
    file: 'services/writer/insert-batch.ts',
    find: "    await this.#connection.executePrepared(preparedName('insert_batch', rows), statement);",
    replace: `    await this.#connection.execute(insertLedger(ledger, this.#writtenBy));
    await this.#connection.executePrepared(preparedName('insert_batch', rows), statement);`,
    caughtBy: ['services/writer/insert-batch.int'],
  },
  {
    name: 'an outage of Postgres is bad data',
    file: 'db/classify.ts',
    find: "  ['57P', 'DATABASE_UNAVAILABLE'],",
    replace: "  ['57P', 'DATABASE_REJECTED'],",
    caughtBy: ['db/classify', 'faults/postgres-restarted.fault'],
  },
  {
    name: 'an error that nobody knows is bad data',
    file: 'db/classify.ts',
    find: "  return new PipelineError('UNKNOWN', errorName(error));",
    replace: "  return new PipelineError('DATABASE_REJECTED', errorName(error));",
    caughtBy: ['db/classify'],
  },
  {
    name: 'the whole batch dies with its culprit',
    file: 'db/rows/refused-rows.ts',
    find: '  if (to - from === 1) return [{ row: from, refusal }];',
    replace:
      '  if (to > from) return Array.from({ length: to - from }, (_, i) => ({ row: from + i, refusal }));',
    caughtBy: ['db/rows/process-batch', 'faults/poison-rare.fault'],
  },
  {
    name: 'rows before dead letters',
    file: 'db/rows/process-batch.ts',
    find: '    await steps.publishDead(unpublished);\n',
    replace: '    void Promise.resolve().then(() => steps.publishDead(unpublished));\n',
    caughtBy: ['db/rows/process-batch'],
  },
  {
    name: 'the time of now instead of SentTimestamp',
    file: 'shared/streams/identity.ts',
    find: '? timestampMs : epochMs',
    replace: '? Date.now() : epochMs',
    caughtBy: ['db/rows/encode'],
  },
  {
    name: 'a redriven record forgets who it was',
    file: 'shared/streams/identity.ts',
    find: 'headers[identityHeaders.originId] ?? headers[identityHeaders.messageId]',
    replace: 'headers[identityHeaders.messageId]',
    caughtBy: ['db/rows/encode'],
  },
  {
    name: 'a cell is not bound to its row',
    file: 'shared/crypto/field.ts',
    find: '  writeUuid(aad, cell.eventId, end);\n',
    replace: '  aad.fill(0, end);\n',
    caughtBy: ['shared/crypto/sealing'],
  },
  {
    name: 'a field in the clear',
    file: 'db/rows/encode.ts',
    find: 'sealer.sealInto(sealed.bytes, at, field.sealedColumn, identity.eventId, value)',
    replace: "at + sealed.bytes.write(value, at, 'utf8')",
    caughtBy: ['db/rows/encode', 'e2e/canary.int'],
  },
  {
    name: 'no breaker over the dead letters',
    file: 'services/writer/dead-ratio.ts',
    find: '!tooMany(all) || !tooMany(own)) return;',
    replace: 'all.records > 0) return;',
    caughtBy: ['services/writer/dead-ratio', 'services/writer/writer'],
  },
  {
    name: 'a full queue goes on filling',
    file: 'services/writer/record-queue.ts',
    find: 'while (this.#bytes >= this.#maxBytes || this.#closed)',
    replace: 'while (this.#closed)',
    caughtBy: ['services/writer/record-queue'],
  },
  {
    name: 'receiving goes on while Kafka is down',
    file: 'services/connector/connector.ts',
    find: 'const stalled = () => publisher.outage || vault.down;',
    replace: 'const stalled = () => vault.down;',
    caughtBy: ['services/connector/connector'],
  },
];
