import { roleUrl } from '../../db/logins.ts';
import { jaegerUrl } from './jaeger.ts';
import { brokerList } from './kafka.ts';
import { adminUrl } from './postgres.ts';
import { deadLetterQueueName, queueName, queueUrl, sqsEndpoint, sqsRegion } from './sqs.ts';
import { stackPaths, type StackState } from './stack-state.ts';
import { loopback } from './tcp-ports.ts';

/** The database that `up` makes. */
export const databaseName = 'sluice';

/** Every variable that a service reads, for this stack. **Holds passwords.** */
export function stackEnvironment(state: StackState): Record<string, string> {
  const { ports, passwords, brokers } = state;
  const paths = stackPaths(state.directory);
  const admin = adminUrl(ports.postgres, passwords.postgres, databaseName);
  return {
    SLUICE_ENV: 'dev',
    LOG_LEVEL: 'info',
    AWS_REGION: sqsRegion,
    // The SDK sends nothing without credentials; the local server takes any.
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL_SQS: sqsEndpoint(ports.sqs),
    SQS_QUEUE_URL: queueUrl(ports.sqs, queueName),
    SQS_DEAD_LETTER_QUEUE_URL: queueUrl(ports.sqs, deadLetterQueueName),
    KAFKA_BROKERS: brokerList(ports),
    RAW_TOPIC: 'user-logins.raw',
    DEAD_LETTER_TOPIC: 'user-logins.dead',
    WRITER_GROUP: 'sluice-writer',
    TOPIC_PARTITIONS: '8',
    TOPIC_REPLICATION: String(brokers),
    TOPIC_MIN_INSYNC: String(Math.min(2, brokers)),
    DATABASE_URL: roleUrl(admin, 'sluice_writer', passwords.sluice_writer),
    ADMIN_DATABASE_URL: admin,
    RECOVERY_DATABASE_URL: roleUrl(admin, 'sluice_recoverer', passwords.sluice_recoverer),
    SHRED_DATABASE_URL: roleUrl(admin, 'sluice_shredder', passwords.sluice_shredder),
    TOKENS_DATABASE_URL: roleUrl(admin, 'sluice_tokenizer', passwords.sluice_tokenizer),
    APPROVAL_DATABASE_URL: roleUrl(admin, 'sluice_approver', passwords.sluice_approver),
    MONITOR_DATABASE_URL: roleUrl(admin, 'sluice_monitor', passwords.sluice_monitor),
    REPLAY_DATABASE_URL: roleUrl(admin, 'sluice_replayer', passwords.sluice_replayer),
    OPERATOR_DATABASE_URL: roleUrl(admin, 'sluice_operator', passwords.sluice_operator),
    VAULT_URL: `file:${paths.vault}`,
    VAULT_RECOVERY_KEY_FILE: paths.recovererKey,
    ARCHIVE_URL: `file:${paths.archive}`,
    ...observing(state),
  };
}

/** Where a Jaeger runs, traces go there; it takes no metrics. */
function observing({ ports: { jaeger }, processes }: StackState): Record<string, string> {
  if (jaeger === undefined || processes['jaeger'] === undefined) return {};
  return {
    JAEGER_URL: jaegerUrl(jaeger),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${loopback}:${jaeger.http}`,
    OTEL_METRICS_EXPORTER: 'none',
  };
}

/** `export NAME='value'` lines for `eval` in any POSIX shell. */
export function exportLines(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `export ${name}=${shellQuote(value)}\n`)
    .join('');
}

/** Within single quotes a shell takes everything literally but the single quote: `it's` → `'it'\''s'`. */
export function shellQuote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
