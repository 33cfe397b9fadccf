import type { Logger } from '../../shared/log.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import type { RecordProducer } from '../../shared/kafka/ports.ts';
import { Publisher } from '../../shared/kafka/publisher.ts';
import { Pace } from '../../shared/pace.ts';
import { toRedriveMark, toRedriven } from '../../shared/streams/redrive.ts';
import type { Clock } from '../../shared/time.ts';
import type { Filter } from '../../shared/streams/selection.ts';
import { rangeFor, readLetters, readRedrives, type Letter, type Reading } from './letters.ts';

/** Nothing can make a row of these: to put them back would only make another dead letter. */
const hopeless: ReadonlySet<string> = new Set(['DAY_SHREDDED', 'TRANSIT_KEY_GONE']);

export interface RedriveOptions {
  readonly deadLetterTopic: string;
  readonly rawTopic: string;
  readonly filter: Filter;
  /** Records at most. */
  readonly limit: number;
  /** Those too that have been redriven. */
  readonly again: boolean;
  readonly dryRun: boolean;
  /** Records a second; Infinity: no limit. */
  readonly perSecond: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock: Clock;
  readonly onRead?: (offsets: number) => void;
  readonly onRedriven?: (records: number) => void;
}

export interface RedriveReport {
  readonly dryRun: boolean;
  /** Put back, or what would be. */
  redriven: number;
  readonly byCode: Record<string, number>;
  /** Left alone, for they have been redriven before. */
  alreadyRedriven: number;
  /** Left alone, for nothing can make rows of them. */
  hopeless: number;
  /** Stopped, or as many as asked for: run it again and it goes on from here. */
  unfinished: boolean;
}

/**
 * Puts dead letters back on the raw topic under their origin's identity. **A dead letter is marked as redriven only after every in-sync
 * replica has its record**, and its mark is read the next time: so a run that was cut short goes on where it was, a second run does nothing,
 * and what a cut leaves unmarked is put back once more, where it is the same row or the same failure.
 *
 * Ends early when `signal` aborts, with what is under way acknowledged. Outages of Kafka while publishing are waited out.
 * @throws PipelineError of Kafka
 */
export async function redrive(
  client: KafkaClient,
  producer: RecordProducer,
  options: RedriveOptions,
): Promise<RedriveReport> {
  const { deadLetterTopic, filter, signal, limit } = options;
  const report: RedriveReport = {
    dryRun: options.dryRun,
    redriven: 0,
    byCode: {},
    alreadyRedriven: 0,
    hopeless: 0,
    unfinished: false,
  };
  const range = await rangeFor(client, deadLetterTopic, filter);
  const { onRead } = options;
  const redrives = await readRedrives(client, deadLetterTopic, range, {
    signal,
    ...(onRead === undefined ? {} : { onRead }),
  });
  const way = options.dryRun ? undefined : await openWay(producer, options);
  const pace = new Pace(options.perSecond);
  const reading: Reading = { read: 0, repeated: 0, foreign: 0 };
  const letters = readLetters(client, deadLetterTopic, range, { filter, redrives, reading, signal });
  for await (const batch of letters) {
    const due = batch.filter((found) => isDue(found, options.again, report));
    for (let at = 0; at < due.length && !signal.aborted; at += pace.share) {
      const room = limit - report.redriven;
      const share = due.slice(at, at + Math.min(pace.share, room));
      if (way !== undefined && share.length > 0) {
        await pace.take(share.length, signal);
        if (signal.aborted) break;
        await way.put(share);
      }
      for (const { letter } of share) report.byCode[letter.code] = (report.byCode[letter.code] ?? 0) + 1;
      report.redriven += share.length;
      options.onRedriven?.(share.length);
      if (share.length < due.slice(at, at + pace.share).length) {
        report.unfinished = true;
        break;
      }
    }
    if (report.unfinished) break;
  }
  await way?.close();
  if (signal.aborted) report.unfinished = true;
  return report;
}

function isDue({ letter, redriven }: Letter, again: boolean, report: RedriveReport): boolean {
  if (hopeless.has(letter.code)) {
    report.hopeless += 1;
    return false;
  }
  if (!redriven || again) return true;
  report.alreadyRedriven += 1;
  return false;
}

interface Way {
  /** Resolves when all are acknowledged and marked. */
  put(letters: readonly Letter[]): Promise<void>;
  close(): Promise<void>;
}

async function openWay(producer: RecordProducer, options: RedriveOptions): Promise<Way> {
  const publisherOf = async (topic: string) =>
    new Publisher<undefined>({
      producer,
      topic,
      partitions: await producer.partitionCount(topic),
      lingerMs: 0,
      log: options.log,
      onAcked: () => {},
      // What failed shows where it is waited for: in flush().
      onFatal: () => {},
    });
  const raw = await publisherOf(options.rawTopic);
  const dead = await publisherOf(options.deadLetterTopic);
  return {
    async put(letters) {
      const now = options.clock();
      for (const { letter, record } of letters) raw.push(toRedriven(letter, record, now), undefined);
      await raw.flush();
      for (const { letter, record, partition } of letters) {
        dead.push(toRedriveMark(letter, record, now), undefined, partition);
      }
      await dead.flush();
    },
    async close() {
      await raw.close(AbortSignal.abort());
      await dead.close(AbortSignal.abort());
    },
  };
}

export function redriveText(report: RedriveReport): string {
  const n = (value: number) => value.toLocaleString('en-US');
  const codes = Object.entries(report.byCode)
    .toSorted(([, a], [, b]) => b - a)
    .map(([code, count]) => `  ${code} ${n(count)}\n`);
  return [
    `${report.dryRun ? 'would redrive' : 'redriven'}: ${n(report.redriven)}\n`,
    ...codes,
    ...(report.alreadyRedriven > 0 ? [`already redriven: ${n(report.alreadyRedriven)} (--again)\n`] : []),
    ...(report.hopeless > 0 ? [`left alone, for their days or keys are gone: ${n(report.hopeless)}\n`] : []),
    ...(report.unfinished ? ['not all: run it again to go on\n'] : []),
  ].join('');
}
