import { PipelineError } from '../../shared/errors.ts';
import { table } from '../../shared/text-table.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { readRange, resolveRange } from '../../shared/kafka/read-range.ts';
import { readDeadLetter } from '../../shared/streams/dead-letter.ts';
import { describeWhole, type Whole } from './describe.ts';
import { readRedrives } from './letters.ts';

/**
 * The dead letter at `partition/offset`.
 * @throws PipelineError USAGE when there is none; of Kafka
 */
export async function show(client: KafkaClient, topic: string, at: string): Promise<Whole> {
  const [, partitionText, offsetText] = /^(\d{1,7})\/(\d{1,18})$/.exec(at) ?? [];
  if (partitionText === undefined || offsetText === undefined) {
    throw new PipelineError('USAGE', 'show takes PARTITION/OFFSET, as list prints it');
  }
  const partition = Number(partitionText);
  const record = await recordAt(client, topic, partition, BigInt(offsetText));
  const letter = record === undefined ? undefined : readDeadLetter(record.headers);
  if (record === undefined || letter === undefined) {
    throw new PipelineError('USAGE', `there is no dead letter at ${at} of ${topic}`);
  }
  const rest = await resolveRange(client, topic, { fromMs: record.timestampMs });
  const redrives = await readRedrives(client, topic, rest);
  return describeWhole({ partition, letter, record, redriven: redrives.has(letter) });
}

async function recordAt(
  client: KafkaClient,
  topic: string,
  partition: number,
  offset: bigint,
): Promise<IncomingRecord | undefined> {
  const whole = (await resolveRange(client, topic, { partitions: [partition] })).get(partition);
  if (whole === undefined || offset < whole.from || offset >= whole.to) return undefined;
  const one = new Map([[partition, { from: offset, to: offset + 1n }]]);
  for await (const { records } of readRange(client, topic, one)) {
    const [record] = records;
    if (record !== undefined) return record;
  }
  return undefined;
}

export function wholeText(whole: Whole): string {
  const { headers, ...rest } = whole;
  const sizes = Object.entries(headers).map(([name, bytes]) => `${name} (${bytes} bytes)`);
  const rows: (readonly [string, unknown])[] = [
    ['at', rest.at],
    ['state', rest.state],
    ['code', rest.code],
    ['stage', rest.stage],
    ['field', rest.field],
    ['detail', rest.detail],
    ['attempts', rest.attempts],
    ['first failed', rest.firstFailedAt],
    ['event', rest.eventId],
    ['sent', rest.sentAt],
    ['source', rest.source],
    ['first source', rest.firstSource],
    ['id', rest.id],
    ['timestamp', Number.isFinite(rest.timestamp) ? new Date(rest.timestamp).toISOString() : rest.timestamp],
    ['size', `key ${rest.keyBytes} bytes, value ${rest.valueBytes} bytes`],
    ['other headers', sizes.join(', ')],
  ];
  const told = rows.filter(([, value]) => value !== null && value !== '');
  return table(told.map(([name, value]) => [name, String(value)]));
}
