import { errorName, PipelineError, type ErrorCode } from '../errors.ts';

/** Kafka's own names (kafka.apache.org/protocol, "Error codes") of what is not an outage. */
const codeOfType: Readonly<Record<string, ErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'KAFKA_TOPIC_MISSING',
  UNKNOWN_TOPIC_ID: 'KAFKA_TOPIC_MISSING',
  INVALID_TOPIC_EXCEPTION: 'KAFKA_TOPIC_MISSING',
  TOPIC_AUTHORIZATION_FAILED: 'KAFKA_FORBIDDEN',
  GROUP_AUTHORIZATION_FAILED: 'KAFKA_FORBIDDEN',
  CLUSTER_AUTHORIZATION_FAILED: 'KAFKA_FORBIDDEN',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'KAFKA_FORBIDDEN',
  SASL_AUTHENTICATION_FAILED: 'KAFKA_FORBIDDEN',
  UNSUPPORTED_SASL_MECHANISM: 'KAFKA_FORBIDDEN',
  SECURITY_DISABLED: 'KAFKA_FORBIDDEN',
  MESSAGE_TOO_LARGE: 'KAFKA_RECORD_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'KAFKA_RECORD_TOO_LARGE',
  INVALID_SESSION_TIMEOUT: 'CONFIG_INVALID',
  INVALID_GROUP_ID: 'CONFIG_INVALID',
  INCONSISTENT_GROUP_PROTOCOL: 'CONFIG_INVALID',
  INVALID_REPLICATION_FACTOR: 'CONFIG_INVALID',
  INVALID_PARTITIONS: 'CONFIG_INVALID',
  INVALID_CONFIG: 'CONFIG_INVALID',
  POLICY_VIOLATION: 'CONFIG_INVALID',
};

const codeOfName: Readonly<Record<string, ErrorCode>> = {
  KafkaJSSASLAuthenticationError: 'KAFKA_FORBIDDEN',
};

/** Node's names for a broker whose certificate is not believed (tls.TLSSocket, "X509 certificate error codes"). One that has expired is renewed some day. */
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);
/** A broker that does not believe ours, or has got none. */
const certificateRefused =
  /^ERR_SSL_.*ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/;

/** Wrappers nest at most a few levels; the bound is against a cycle. */
const maxDepth = 10;

/**
 * Total: every error of kafkajs, of a socket or of anything else becomes a PipelineError. What is not known to be a
 * wrong setting, a missing right, a missing topic or a record too large is **KAFKA_UNAVAILABLE: an outage, waited out**.
 * The detail is Kafka's name for the error, the system's (`ECONNREFUSED`) or the error's own (`TypeError`), never a message. A PipelineError passes.
 */
export function classifyKafkaError(error: unknown): PipelineError {
  const chain = causesOf(error);
  for (const link of chain) if (link instanceof PipelineError) return link;
  for (const link of chain) {
    const type = textOf(link, 'type');
    const code = codeOfType[type] ?? codeOfName[textOf(link, 'name')] ?? codeOfTls(textOf(link, 'code'));
    if (code !== undefined) return new PipelineError(code, detailOf(link));
  }
  const detail = chain.map(detailOf).findLast((text) => text !== undefined);
  return new PipelineError('KAFKA_UNAVAILABLE', detail ?? errorName(chain.at(-1)));
}

/** The error, what it was caused by and, of an aggregate, its parts; outermost first. */
export function causesOf(error: unknown): object[] {
  const chain: object[] = [];
  const add = (link: unknown, depth: number): void => {
    if (typeof link !== 'object' || link === null || depth > maxDepth || chain.includes(link)) return;
    chain.push(link);
    if ('errors' in link && Array.isArray(link.errors)) for (const part of link.errors) add(part, depth + 1);
    if ('cause' in link) add(link.cause, depth + 1);
  };
  add(error, 0);
  return chain;
}

/** Whether Kafka's own name for the error, or for one it was caused by, is among these. */
export function isOfType(error: unknown, ...types: string[]): boolean {
  return causesOf(error).some((link) => types.includes(textOf(link, 'type')));
}

/** Whether a broker did not answer in time: it may hang, or the connection be half open. */
export function isTimeout(error: unknown): boolean {
  return causesOf(error).some((link) => textOf(link, 'name') === 'KafkaJSRequestTimeoutError');
}

function detailOf(link: object): string | undefined {
  const type = textOf(link, 'type');
  if (/^[A-Z][A-Z_]{2,60}$/.test(type)) return `Kafka answered ${type}`;
  const code = textOf(link, 'code');
  if (/^E[A-Z_]{2,20}$/.test(code) || codeOfTls(code) !== undefined) return code;
  const name = textOf(link, 'name');
  return name === 'KafkaJSRequestTimeoutError' ? 'Kafka did not answer in time' : undefined;
}

function codeOfTls(code: string): ErrorCode | undefined {
  if (untrusted.has(code)) return 'KAFKA_UNTRUSTED';
  return certificateRefused.test(code) ? 'KAFKA_FORBIDDEN' : undefined;
}

function textOf(link: object, property: 'type' | 'name' | 'code'): string {
  const value: unknown = Reflect.get(link, property);
  return typeof value === 'string' ? value : '';
}
