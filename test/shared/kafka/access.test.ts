import { expect, test } from 'vitest';
import { environmentSlice, kafkaSlice, parseConfig } from '../../../shared/config.ts';
import { kafkaAccess } from '../../../shared/kafka/access.ts';

const access = (more: Record<string, string>) =>
  kafkaAccess(parseConfig({ KAFKA_BROKERS: 'k1:9092,k2:9092', ...more }, kafkaSlice));

test('as it is set', () => {
  expect(access({})).toEqual({ brokers: ['k1:9092', 'k2:9092'] });
  expect(access({ KAFKA_TLS: 'on' })).toMatchObject({ tls: {} });
  const login = { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' };
  const sasl = { mechanism: 'scram-sha-512', username: 'u', password: 'p' };
  expect(access({ KAFKA_TLS: 'on', ...login })).toMatchObject({ sasl, tls: {} });
});

const plain = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' };
test.each([
  [{ KAFKA_CA_FILE: '/ca.pem' }, /need KAFKA_TLS=on/],
  [{ KAFKA_TLS: 'on', KAFKA_CERT_FILE: '/cert.pem' }, /go together/],
  [{ KAFKA_TLS: 'on', KAFKA_CA_FILE: '/nobody' }, /KAFKA_CA_FILE names a file that cannot be read/],
  [{ KAFKA_TLS: 'on', KAFKA_CA_FILE: '/proc/version' }, /KAFKA_CA_FILE names a file that is no certificate/],
  [{ KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' }, /need KAFKA_SASL_MECHANISM/],
  [{ KAFKA_SASL_MECHANISM: 'scram-sha-256', KAFKA_USERNAME: 'u' }, /and KAFKA_PASSWORD or/],
  [{ ...plain, KAFKA_TLS: 'on', KAFKA_PASSWORD: '', KAFKA_PASSWORD_FILE: '/nobody' }, /KAFKA_PASSWORD_FILE/],
  [plain, /it needs KAFKA_TLS=on/],
  [{ KAFKA_TLS: 'yes' }, /KAFKA_TLS must be on or off/],
])('what cannot be is said before anything is tried: %j', (more, sentence) => {
  expect(() => access(more)).toThrow(sentence);
});

test('in prod, Kafka is reached by TLS', () => {
  const parse = (more: object) =>
    parseConfig(
      { SLUICE_ENV: 'prod', KAFKA_BROKERS: 'k:9093', ...more },
      { ...environmentSlice, ...kafkaSlice },
    );
  expect(() => parse({})).toThrow('KAFKA_TLS must be on in prod');
  expect(parse({ KAFKA_TLS: 'on' })).toMatchObject({ KAFKA_TLS: 'on' });
});
