import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import type { z } from 'zod';
import type { kafkaSlice } from '../config.ts';
import { PipelineError } from '../errors.ts';
import type { KafkaClientOptions } from './kafkajs-client.ts';

type KafkaConfig = z.output<z.ZodObject<typeof kafkaSlice>>;

/**
 * How to reach a cluster, from `KAFKA_BROKERS`, `KAFKA_TLS`, `KAFKA_SASL_MECHANISM` and what goes with them. Files are read once.
 * @throws PipelineError CONFIG_INVALID for settings that contradict each other, and files that cannot be read
 */
export function kafkaAccess(config: KafkaConfig): Pick<KafkaClientOptions, 'brokers' | 'tls' | 'sasl'> {
  const tls = tlsOf(config);
  const sasl = saslOf(config);
  return {
    brokers: config.KAFKA_BROKERS,
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

function tlsOf(config: KafkaConfig): KafkaClientOptions['tls'] {
  const { KAFKA_TLS, KAFKA_CA_FILE, KAFKA_CERT_FILE, KAFKA_KEY_FILE } = config;
  if (KAFKA_TLS === 'off') {
    if (KAFKA_CA_FILE === undefined && KAFKA_CERT_FILE === undefined && KAFKA_KEY_FILE === undefined)
      return undefined;
    throw invalid('KAFKA_CA_FILE, KAFKA_CERT_FILE and KAFKA_KEY_FILE need KAFKA_TLS=on');
  }
  if ((KAFKA_CERT_FILE === undefined) !== (KAFKA_KEY_FILE === undefined)) {
    throw invalid('KAFKA_CERT_FILE and KAFKA_KEY_FILE go together');
  }
  return {
    ...(KAFKA_CA_FILE === undefined ? {} : { ca: certificate('KAFKA_CA_FILE', KAFKA_CA_FILE) }),
    ...(KAFKA_CERT_FILE === undefined ? {} : { cert: certificate('KAFKA_CERT_FILE', KAFKA_CERT_FILE) }),
    ...(KAFKA_KEY_FILE === undefined ? {} : { key: textOf('KAFKA_KEY_FILE', KAFKA_KEY_FILE) }),
  };
}

function saslOf(config: KafkaConfig): KafkaClientOptions['sasl'] {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username, KAFKA_PASSWORD_FILE: file } = config;
  if (mechanism === undefined) {
    if (username === undefined && config.KAFKA_PASSWORD === undefined && file === undefined) return undefined;
    throw invalid('KAFKA_USERNAME and its password need KAFKA_SASL_MECHANISM');
  }
  const password =
    config.KAFKA_PASSWORD ?? (file === undefined ? undefined : textOf('KAFKA_PASSWORD_FILE', file).trimEnd());
  if (username === undefined || password === undefined) {
    throw invalid('KAFKA_SASL_MECHANISM needs KAFKA_USERNAME, and KAFKA_PASSWORD or KAFKA_PASSWORD_FILE');
  }
  if (mechanism === 'plain' && config.KAFKA_TLS === 'off') {
    throw invalid('KAFKA_SASL_MECHANISM=plain sends the password as it is: it needs KAFKA_TLS=on');
  }
  return { mechanism, username, password };
}

/** Looked at here, for what TLS says of a file that is none comes with the first connection, and would be waited out. */
function certificate(name: string, path: string): string {
  const pem = textOf(name, path);
  try {
    void new X509Certificate(pem);
  } catch {
    throw invalid(`${name} names a file that is no certificate in PEM`);
  }
  return pem;
}

function textOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw invalid(`${name} names a file that cannot be read`);
  }
}

function invalid(why: string): PipelineError {
  return new PipelineError('CONFIG_INVALID', why);
}
