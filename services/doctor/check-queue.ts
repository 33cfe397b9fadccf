import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { z } from 'zod';
import { awsClientOptions } from '../../shared/aws/client-options.ts';
import type { sqsSlice } from '../../shared/config.ts';
import { classifySqs } from '../../shared/sqs/classify.ts';
import { horizon } from '../../shared/time.ts';
import { judgeHttpClock } from './clock.ts';
import { Findings, type Finding } from './finding.ts';

type SqsSettings = z.output<z.ZodObject<typeof sqsSlice>>;

const secondsPerDay = 86_400;
/** A connector publishes and deletes within a second; what takes longer is delivered twice. */
const leastVisibilitySeconds = 10;

/** The queue: whether it can be asked, how long it keeps messages, and where it puts those that are received too often. */
export async function checkQueue(config: SqsSettings): Promise<Finding[]> {
  const findings = new Findings('sqs');
  const client = new SQSClient({
    region: config.AWS_REGION,
    ...(config.AWS_ENDPOINT_URL_SQS === undefined ? {} : { endpoint: config.AWS_ENDPOINT_URL_SQS }),
    ...awsClientOptions({ maxSockets: 1, timeoutMs: 5_000, maxAttempts: 1 }),
  });
  try {
    await findings.during('the queue cannot be asked', async () => {
      const command = new GetQueueAttributesCommand({
        QueueUrl: config.SQS_QUEUE_URL,
        AttributeNames: ['All'],
      });
      const { Attributes = {} } = await client.send(command).catch((error: unknown) => {
        throw classifySqs(error);
      });
      judgeQueue(findings, Attributes);
    });
  } finally {
    client.destroy();
  }
  await judgeHttpClock(findings, 'SQS', config.AWS_ENDPOINT_URL_SQS ?? config.SQS_QUEUE_URL);
  return findings.list;
}

function judgeQueue(findings: Findings, attributes: Partial<Record<string, string>>): void {
  const waiting = attributes['ApproximateNumberOfMessages'] ?? '0';
  findings.ok(`the queue answers: about ${waiting} messages wait`);
  const visibility = Number(attributes['VisibilityTimeout'] ?? 30);
  if (visibility < leastVisibilitySeconds) {
    findings.warn(
      `its visibility timeout is ${visibility} s: messages come again while they are published`,
      'Set VisibilityTimeout to 30 s or more.',
    );
  }
  const keptDays = Number(attributes['MessageRetentionPeriod'] ?? 0) / secondsPerDay;
  if (keptDays > 0 && keptDays < horizon.daysBack) {
    findings.warn(
      `it keeps messages for ${keptDays} days: an outage that lasts longer loses them`,
      'Set MessageRetentionPeriod to 14 days (1209600).',
    );
  }
  if (attributes['RedrivePolicy'] === undefined) {
    findings.skipped(
      'it has no dead-letter queue: messages that are received again and again stay until they are too old',
    );
  } else {
    findings.ok('it has a dead-letter queue');
  }
}
