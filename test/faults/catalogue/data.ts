import { sql } from 'drizzle-orm';
import { ensureTopics } from '../../../shared/kafka/topics.ts';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { topicOffsets } from '../../../shared/kafka/offsets.ts';
import { openMemoryLimit, whyNoMemoryLimit } from '../../helpers/cgroup.ts';
import type { Outcome } from '../../helpers/invariants.ts';
import { eventually } from '../../helpers/pipeline.ts';
import { sendAll } from '../../helpers/queues.ts';
import { testKafkaClient } from '../../helpers/topics.ts';
import type { Fault, FaultContext } from '../fault.ts';

/** Postgres refuses some rows that every check before it let pass, by the beginning of their MessageId, which is random. */
function poison(name: string, pattern: RegExp, flows: number, more: Partial<Fault> = {}): Fault {
  return {
    name,
    // Whoever stops at many dead letters is not asked here.
    pipeline: { env: { WRITER_MAX_DEAD_RATIO: '1' } },
    ...more,
    startsServices: true,
    async inject(context) {
      // From the first row on: the second delivery of one that is there would be refused, too, and be row and dead letter.
      await context.pipeline.admin.execute(
        sql.raw(
          `alter table user_logins add constraint poison check (event_id::text !~ '${pattern.source}') not valid`,
        ),
      );
      await context.start('connector');
      await context.start('writer');
      await context.flows(context.long ? 2_000 : flows);
    },
    mayDie: async ({ load }) => new Set([...load.sent].filter((id) => pattern.test(id))),
  };
}

export const poisonRare = poison('poison, one record in a thousand', /^00[0-3]/, 1_200);
export const poisonHalf = poison('poison, every other record', /^[0-7]/, 200, { perSecond: 100 });

const hugeLogin = { user_id: 'big', app_version: '1.0', device_type: 'iOS', ip: '10.0.0.1', device_id: 'd' };
const padding = 'x'.repeat(1_040_000);

/** So many pairs of almost a MiB each: a row, and a dead letter whose user id is too long. */
async function sendHuge({ pipeline, load }: FaultContext, pairs: number): Promise<void> {
  for (let i = 0; i < pairs; i++) {
    const bodies = [
      JSON.stringify({ ...hugeLogin, padding }),
      JSON.stringify({ ...hugeLogin, user_id: padding }),
    ];
    const [row, dead] = await sendAll(pipeline.queue, bodies);
    if (row === undefined || dead === undefined) throw new Error('not sent');
    load.add([row, dead]);
  }
}

/** A user id of a MiB. */
async function hugeMayDie({ load }: FaultContext, outcome: Outcome): Promise<ReadonlySet<string>> {
  const tooLong = [...outcome.dead].filter(([, codes]) => codes.every((code) => code === 'FIELD_TOO_LONG'));
  return new Set(tooLong.map(([id]) => id).filter((id) => load.sent.has(id)));
}

export const bigRecords: Fault = {
  name: '1 MiB records among small ones',
  async inject(context) {
    await sendHuge(context, context.long ? 100 : 12);
    await context.sends(100);
  },
  mayDie: hugeMayDie,
};

const limitMiB = 256;

/**
 * Connector and writer, each in a container of 256 MiB, work off what has piled up, bodies of almost a MiB among it and after it. Whoever
 * is killed for memory has ended, which no service may.
 */
export const memoryLimited: Fault = {
  name: 'container memory limit 256 MiB',
  startsServices: true,
  impossible: whyNoMemoryLimit,
  async inject(context) {
    await sendHuge(context, context.long ? 100 : 16);
    await context.sends(1_000);
    for (const role of ['connector', 'writer'] as const) {
      const limit = context.resources.use(await openMemoryLimit(limitMiB * 1_048_576));
      await context.start(role, {}, limit.within);
    }
    await context.flows(1_000);
    await sendHuge(context, context.long ? 100 : 8);
  },
  async mayDie(context, outcome) {
    for (const role of ['connector', 'writer'] as const) {
      for (const service of context.running[role]) {
        const peakMiB = (await service.peakMemory()) / 1_048_576;
        console.log(`under ${limitMiB} MiB, the ${role} took ${peakMiB.toFixed(0)} MiB at most`);
      }
    }
    return hugeMayDie(context, outcome);
  },
};

/** Twice as many while all run: both ends notice, and the new ones are used and read. */
export const partitionsAdded: Fault = {
  name: 'partitions added while running',
  async inject(context) {
    const { pipeline } = context;
    await ensureTopics(testKafkaClient(pipeline.kafkaBrokers), [
      { topic: pipeline.rawTopic, partitions: 16, replication: 3, minInsync: 2 },
    ]);
    await eventually('records of the new partitions written', async () => {
      const { rows } = await pipeline.admin.execute<{ n: number }>(
        sql`select count(distinct partition)::integer as n from ledger where partition >= 8`,
      );
      return rows[0]?.n === 8;
    });
  },
};

/**
 * Retention has taken what the group would read next. It was written before, only its offsets were not committed: nothing is lost, and
 * the writer reads on from what is left.
 */
export const offsetOutOfRange: Fault = {
  name: 'offset out of range after retention',
  async inject(context) {
    const { pipeline } = context;
    await context.end('writer', 'SIGTERM');
    const { rows } = await pipeline.admin.execute<{ partition: number; next: string }>(
      sql`select partition, (max(last_offset) + 1)::text as next from ledger group by partition`,
    );
    await withAdmin(testKafkaClient(pipeline.kafkaBrokers), async (admin) => {
      await admin.setOffsets({
        groupId: pipeline.group,
        topic: pipeline.rawTopic,
        partitions: rows.map(({ partition }) => ({ partition, offset: '0' })),
      });
      await admin.deleteTopicRecords({
        topic: pipeline.rawTopic,
        partitions: rows.map(({ partition, next }) => ({ partition, offset: next })),
      });
    });
    await context.logs(/the position lies outside the partition/, () => context.start('writer'));
  },
};

/**
 * Somebody deletes the topic, once everything on it was written, and makes it anew. Whoever finds it missing may end, for a supervisor to
 * start again. What was sent meanwhile arrives; the ledger knows offsets of both, and says so.
 */
export const topicRemade: Fault = {
  name: 'topic deleted and made again',
  resumesWithin: 20_000,
  async inject(context) {
    const { pipeline } = context;
    const kafka = testKafkaClient(pipeline.kafkaBrokers);
    await context.end('connector', 'SIGTERM');
    let ends = await topicOffsets(kafka, pipeline.rawTopic);
    await eventually('the topic is read', async () => {
      ends = await topicOffsets(kafka, pipeline.rawTopic);
      const total = [...ends.values()].reduce((sum, { high }) => sum + Number(high), 0);
      return (await context.written()) >= total;
    });
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [pipeline.rawTopic] }));
    await context.sends(200);
    await ensureTopics(kafka, [{ topic: pipeline.rawTopic, partitions: 8, replication: 3, minInsync: 2 }]);
    await context.start('connector');
    await restartEnded(context);
    // Until then the ledger reaches beyond the end of the new topic, which "verify" says, and rightly.
    await eventually('the new topic has outgrown the old one', async () => {
      const now = await topicOffsets(kafka, pipeline.rawTopic);
      return [...ends].every(([partition, { high }]) => (now.get(partition)?.high ?? 0n) > high);
    });
  },
};

/** As a supervisor does, until all of them stay. */
async function restartEnded(context: FaultContext): Promise<void> {
  const goal = (await context.written()) + 200;
  await eventually('written again', async () => {
    for (const role of ['connector', 'writer'] as const) {
      const { [role]: running } = context.running;
      if (running[0]?.ended === 1) {
        running.shift();
        await context.start(role);
      }
    }
    return (await context.written()) >= goal;
  });
}
