import type { z } from 'zod';
import {
  deadLetterQueueSlice,
  deadLetterTopicSlice,
  environmentSlice,
  kafkaSlice,
  parseConfig,
  rawTopicSlice,
  sqsSlice,
  type Env,
} from '../../shared/config.ts';

const shape = { ...environmentSlice, ...kafkaSlice, ...rawTopicSlice, ...deadLetterTopicSlice };

/** @throws PipelineError CONFIG_INVALID */
export function dlqConfig(env: Env): z.output<z.ZodObject<typeof shape>> {
  return parseConfig(env, shape);
}

const { AWS_REGION, AWS_ENDPOINT_URL_SQS } = sqsSlice;
const queueShape = { ...environmentSlice, ...deadLetterQueueSlice, AWS_REGION, AWS_ENDPOINT_URL_SQS };

/** For the dead-letter queue in SQS. @throws PipelineError CONFIG_INVALID */
export function queueConfig(env: Env): z.output<z.ZodObject<typeof queueShape>> {
  return parseConfig(env, queueShape);
}
