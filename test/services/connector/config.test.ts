import { describe, expect, test } from 'vitest';
import { parseConnectorConfig } from '../../../services/connector/config.ts';

const given = {
  AWS_REGION: 'eu-central-1',
  SQS_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/123456789012/logins',
  KAFKA_BROKERS: 'kafka-1.internal:9092, kafka-2.internal:9092',
  VAULT_URL: 'file:/var/lib/sluice/vault',
};

describe('parseConnectorConfig', () => {
  test('defaults', () => {
    expect(parseConnectorConfig(given)).toStrictEqual({
      ...given,
      KAFKA_BROKERS: ['kafka-1.internal:9092', 'kafka-2.internal:9092'],
      KAFKA_TLS: 'off',
      SLUICE_ENV: 'dev',
      LOG_LEVEL: 'info',
      HEALTH_HOST: '127.0.0.1',
      RAW_TOPIC: 'user-logins.raw',
      TRANSIT_SEALING: 'on',
      METRICS_HOST: '127.0.0.1',
      TRACE_SAMPLE_RATE: 0.001,
      OTEL_METRIC_EXPORT_INTERVAL: 60_000,
      OTEL_METRIC_EXPORT_TIMEOUT: 30_000,
      CONNECTOR_RECEIVERS: 8,
      CONNECTOR_LINGER_MS: 5,
      CONNECTOR_MAX_MESSAGES: 10_000,
      CONNECTOR_MAX_BYTES: 25_165_824,
    });
  });

  test('everything that is wrong at once, by name and never by value', () => {
    const wrong = {
      SQS_QUEUE_URL: 'n0 url',
      CONNECTOR_RECEIVERS: '0',
      TRANSIT_SEALING: 'perhaps',
      AWS_REGION: '',
    };
    expect(() => parseConnectorConfig(wrong)).toThrow(
      /AWS_REGION is not set; SQS_QUEUE_URL must be a URL; KAFKA_BROKERS is not set; .*CONNECTOR_RECEIVERS must be a whole number from 1 to 64.*TRANSIT_SEALING must be on or off; VAULT_URL is not set/,
    );
    expect(() => parseConnectorConfig(wrong)).not.toThrow(/n0 url|perhaps/);
  });

  test('without sealing no vault is needed or opened', () => {
    const { VAULT_URL: _, ...rest } = given;
    expect(parseConnectorConfig({ ...rest, TRANSIT_SEALING: 'off' }).VAULT_URL).toBeUndefined();
    expect(parseConnectorConfig({ ...given, TRANSIT_SEALING: 'off' }).VAULT_URL).toBeUndefined();
  });

  test.each([
    [
      'an http endpoint',
      { AWS_ENDPOINT_URL_SQS: 'http://sqs.internal' },
      'AWS_ENDPOINT_URL_SQS must be https',
    ],
    ['an http queue', { SQS_QUEUE_URL: 'http://sqs.internal/1/q' }, 'SQS_QUEUE_URL must be https'],
    ['this machine', { AWS_ENDPOINT_URL_SQS: 'https://localhost:4566' }, 'must not be this machine'],
    [
      'this machine by number',
      { AWS_ENDPOINT_URL_SQS: 'https://127.0.0.1:4566' },
      'must not be this machine',
    ],
    ['this machine by IPv6', { AWS_ENDPOINT_URL_SQS: 'https://[::1]:4566' }, 'must not be this machine'],
    [
      'this machine among brokers',
      { KAFKA_BROKERS: 'k:9092,localhost:9092' },
      'KAFKA_BROKERS must not be this machine',
    ],
    ['the file vault', {}, 'VAULT_URL must not be a file'],
    ['bodies as they are', { TRANSIT_SEALING: 'off' }, 'TRANSIT_SEALING must be on'],
  ])('prod refuses %s', (_, over, problem) => {
    expect(() => parseConnectorConfig({ ...given, ...over, SLUICE_ENV: 'prod' })).toThrow(problem);
    expect(() => parseConnectorConfig({ ...given, ...over, SLUICE_ENV: 'qa' })).not.toThrow();
  });
});
