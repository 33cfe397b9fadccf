import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { classifyKafkaError, isOfType } from '../../../shared/kafka/classify.ts';
import { errorOfCode } from '../../../shared/kafka/kafkajs-patches.ts';

const exhausted = (cause: Error) => Object.assign(new kafkajs.KafkaJSNonRetriableError(cause), { cause });

describe('classifyKafkaError', () => {
  it.each([
    [3, 'KAFKA_TOPIC_MISSING'],
    [17, 'KAFKA_TOPIC_MISSING'],
    [29, 'KAFKA_FORBIDDEN'],
    [30, 'KAFKA_FORBIDDEN'],
    [31, 'KAFKA_FORBIDDEN'],
    [58, 'KAFKA_FORBIDDEN'],
    [10, 'KAFKA_RECORD_TOO_LARGE'],
    [18, 'KAFKA_RECORD_TOO_LARGE'],
    [26, 'CONFIG_INVALID'],
    [38, 'CONFIG_INVALID'],
    [5, 'KAFKA_UNAVAILABLE'],
    [6, 'KAFKA_UNAVAILABLE'],
    [7, 'KAFKA_UNAVAILABLE'],
    [19, 'KAFKA_UNAVAILABLE'],
    [27, 'KAFKA_UNAVAILABLE'],
    [-1, 'KAFKA_UNAVAILABLE'],
    [9999, 'KAFKA_UNAVAILABLE'],
  ])('makes %s of Kafka %s', (code, expected) => {
    expect(classifyKafkaError(errorOfCode(code)).code).toBe(expected);
    expect(classifyKafkaError(exhausted(errorOfCode(code))).code).toBe(expected);
  });

  it('looks into aggregates', () => {
    const error = new kafkajs.KafkaJSAggregateError('several', [errorOfCode(38)]);
    expect(classifyKafkaError(error).code).toBe('CONFIG_INVALID');
  });

  it.each([
    ['a refused connection', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })],
    ['a defect', new TypeError('x is not a function')],
    ['text', 'no error at all'],
    ['null', null],
    ['undefined', undefined],
  ])('takes %s for an outage', (_, error) => {
    expect(classifyKafkaError(error).code).toBe('KAFKA_UNAVAILABLE');
  });

  it('lets a PipelineError pass, also from within', () => {
    const error = new PipelineError('INTERNAL', 'x');
    expect(classifyKafkaError(error)).toBe(error);
    expect(classifyKafkaError(exhausted(error))).toBe(error);
  });

  it('ends on a cycle', () => {
    const error: Error & { cause?: unknown } = new Error('a');
    error.cause = new Error('b', { cause: error });
    expect(classifyKafkaError(error).code).toBe('KAFKA_UNAVAILABLE');
  });

  it('names the error and quotes no message', () => {
    const secret = '203.0.113.7';
    const error = new Error(`body was ${secret}`, { cause: new Error(secret) });
    expect(classifyKafkaError(Object.assign(error, { code: secret, type: secret })).message).not.toContain(
      secret,
    );
    expect(classifyKafkaError(exhausted(errorOfCode(19))).detail).toBe('Kafka answered NOT_ENOUGH_REPLICAS');
    expect(classifyKafkaError(Object.assign(new Error(secret), { code: 'ECONNRESET' })).detail).toBe(
      'ECONNRESET',
    );
    expect(classifyKafkaError(exhausted(new TypeError(secret))).detail).toBe('TypeError');
  });
});

describe('isOfType', () => {
  it('finds a type behind a wrapper', () => {
    expect(isOfType(exhausted(errorOfCode(6)), 'NOT_LEADER_FOR_PARTITION')).toBe(true);
    expect(isOfType(exhausted(errorOfCode(7)), 'NOT_LEADER_FOR_PARTITION')).toBe(false);
  });
});
