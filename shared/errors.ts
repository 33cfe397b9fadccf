/** What the pipeline does about a failure. Follows from the code's row below, never from the call site. */
export type Action = 'retry' | 'deadLetter' | 'stop';

/**
 * The catalogue: every code, what is done about it, and what an operator should do.
 * `retry` = an outage, wait and try again, nothing is lost or dead-lettered. `deadLetter` = this record is
 * at fault, its neighbours are not. `stop` = a setting or a right is wrong: exit non-zero and say what to change.
 */
export const errorCodes = {
  BODY_EMPTY: { action: 'deadLetter', remedy: 'The record has no body: ask its producer.' },
  BODY_NOT_UTF8: { action: 'deadLetter', remedy: 'The body is not UTF-8: ask its producer.' },
  BODY_NOT_JSON: {
    action: 'deadLetter',
    remedy: 'The body is not JSON (a byte order mark is not JSON either).',
  },
  BODY_NOT_OBJECT: { action: 'deadLetter', remedy: 'The body is JSON, but not an object.' },
  BODY_TOO_DEEP: { action: 'deadLetter', remedy: 'The body nests deeper than 32 levels.' },
  BODY_DUPLICATE_KEY: {
    action: 'deadLetter',
    remedy: 'The body names a key twice, so its meaning is ambiguous.',
  },
  MESSAGE_SHAPE: { action: 'deadLetter', remedy: 'A required field is missing: a message of another kind?' },
  FIELD_TYPE: { action: 'deadLetter', remedy: 'A field is not a string.' },
  FIELD_EMPTY: { action: 'deadLetter', remedy: 'A field is empty.' },
  FIELD_TOO_LONG: { action: 'deadLetter', remedy: 'A field is longer than its column.' },
  FIELD_TEXT: {
    action: 'deadLetter',
    remedy: 'A field holds NUL or half a surrogate pair, which Postgres cannot store.',
  },
  APP_VERSION: {
    action: 'deadLetter',
    remedy: 'app_version is not MAJOR.MINOR or MAJOR.MINOR.PATCH within 2146.999.999.',
  },
  IP_ADDRESS: { action: 'deadLetter', remedy: 'ip is not an IPv4 or IPv6 address.' },
  IDENTITY_INVALID: {
    action: 'deadLetter',
    remedy: 'The record key (or its message-id header) is not an SQS MessageId.',
  },
  PARTITION_ARCHIVED: {
    action: 'deadLetter',
    remedy: 'The day of this record lies before the horizon: restore the day, then redrive.',
  },
  DAY_SHREDDED: {
    action: 'deadLetter',
    remedy: 'The day of this record has been shredded: it is refused, now and when replayed.',
  },
  DAY_OUT_OF_RANGE: {
    action: 'deadLetter',
    remedy: 'The record time lies beyond the horizon: check the producer clock.',
  },
  TRANSIT_OPEN_FAILED: {
    action: 'deadLetter',
    remedy: 'The sealed body does not open under its key, identity and time: it was altered.',
  },
  TRANSIT_KEY_GONE: {
    action: 'deadLetter',
    remedy: 'The transit key of that day has been destroyed: the body cannot be read again.',
  },
  DATABASE_REJECTED: {
    action: 'deadLetter',
    remedy: 'Postgres refused this row (SQLSTATE class 22 or 23): see its code in the dead-letter header.',
  },

  KEY_MISSING: {
    action: 'retry',
    remedy:
      'A key that must be there is missing: run "sluice maintain"; a key it does not make has been lost.',
  },
  PARTITION_MISSING: {
    action: 'retry',
    remedy: 'No partition for a day inside the horizon: run "sluice maintain".',
  },
  DATABASE_UNAVAILABLE: {
    action: 'retry',
    remedy: 'Postgres cannot be reached or is refusing work: check it and DATABASE_URL.',
  },
  KAFKA_UNAVAILABLE: {
    action: 'retry',
    remedy: 'Kafka cannot be reached or is refusing work: check it and KAFKA_BROKERS.',
  },
  SQS_UNAVAILABLE: {
    action: 'retry',
    remedy: 'SQS cannot be reached or is refusing work: check AWS_ENDPOINT_URL_SQS and AWS_REGION.',
  },
  VAULT_UNAVAILABLE: { action: 'retry', remedy: 'The vault cannot be reached: check it and VAULT_URL.' },
  ARCHIVE_UNAVAILABLE: {
    action: 'retry',
    remedy: 'The archive cannot be reached or is full: check it and ARCHIVE_URL.',
  },
  JAEGER_UNAVAILABLE: { action: 'retry', remedy: 'Jaeger cannot be reached: check it and JAEGER_URL.' },
  CUSTODY_BUSY: {
    action: 'retry',
    remedy: 'Another archive, restore, shred or swap is at work: try again when it is done.',
  },
  UNKNOWN: {
    action: 'retry',
    remedy: 'An error nobody has classified: treated as an outage. Please report it.',
  },

  CONFIG_INVALID: { action: 'stop', remedy: 'Correct the settings named.' },
  USAGE: { action: 'stop', remedy: 'See --help.' },
  DATABASE_FORBIDDEN: {
    action: 'stop',
    remedy: 'The role lacks a right or its password is wrong: check the database URL; run "sluice migrate".',
  },
  DATABASE_SCHEMA: { action: 'stop', remedy: 'A table is missing or differs: run "sluice migrate".' },
  MIGRATION_CONFLICT: {
    action: 'stop',
    remedy:
      'Migrations that have run are never edited, removed or reordered: use the version that ran them or a newer one.',
  },
  KAFKA_TOPIC_MISSING: { action: 'stop', remedy: 'A topic does not exist: run "sluice migrate".' },
  KAFKA_FORBIDDEN: { action: 'stop', remedy: 'Kafka refused these credentials, or a right is missing.' },
  KAFKA_UNTRUSTED: {
    action: 'stop',
    remedy:
      'The certificate of Kafka is of no authority that is known here, or of another host: check KAFKA_CA_FILE and KAFKA_BROKERS.',
  },
  KAFKA_RECORD_TOO_LARGE: {
    action: 'stop',
    remedy: 'The topic takes no records of this size: run "sluice migrate", which raises max.message.bytes.',
  },
  SQS_FORBIDDEN: { action: 'stop', remedy: 'SQS refused these credentials, or a right is missing.' },
  SQS_QUEUE_MISSING: { action: 'stop', remedy: 'The queue does not exist: check SQS_QUEUE_URL.' },
  VAULT_FORBIDDEN: { action: 'stop', remedy: 'The vault refused this credential.' },
  VAULT_NOT_FOUND: {
    action: 'stop',
    remedy: 'VAULT_URL names no vault: run "sluice migrate" or correct it.',
  },
  VAULT_UNSAFE: {
    action: 'stop',
    remedy: 'As it is set up, the vault could lose keys: change what is named.',
  },
  KEY_DESTROYED: {
    action: 'stop',
    remedy: 'The private key of that day is not in the vault: nothing can open its fields.',
  },
  ARCHIVE_FORBIDDEN: {
    action: 'stop',
    remedy: 'The archive refused this credential, or a right is missing.',
  },
  ARCHIVE_DAMAGED: {
    action: 'stop',
    remedy: 'What lies in the archive is not what its manifest says: keep it, and look for an older copy.',
  },
  ARCHIVE_MISSING: {
    action: 'stop',
    remedy: 'No archive of that day is known here: check the day and ARCHIVE_URL.',
  },
  ARCHIVE_CONFLICT: {
    action: 'stop',
    remedy: 'What the archive holds and what this database holds contradict each other: nothing was changed.',
  },
  DAY_ARCHIVED: { action: 'stop', remedy: 'That day lies in the archive: run "sluice restore" first.' },
  SHADOW_MISSING: {
    action: 'stop',
    remedy:
      'There is no such shadow table: see "sluice replay shadows", and make it with "sluice replay shadow".',
  },
  SHADOW_CONFLICT: {
    action: 'stop',
    remedy: 'The shadow and the live table do not fit together: nothing was changed.',
  },
  BACKFILL_OPEN: {
    action: 'stop',
    remedy: 'A backfill of that day is not over: swap it or go back, then run "sluice replay clean".',
  },
  APPROVAL_MISSING: {
    action: 'stop',
    remedy: 'A second person must approve this first: "sluice recover approve".',
  },
  REPLAY_PLAN: {
    action: 'stop',
    remedy: 'That plan cannot be run as it is: make a new one with "sluice replay plan".',
  },
  REPLAY_STATE: { action: 'stop', remedy: 'See "sluice replay status".' },
  REPLAY_REFUSED: {
    action: 'stop',
    remedy:
      'Days of the range take no rows: narrow it, restore them first, or count their records as dead with --accept-dead.',
  },
  TOKENS_CHANGED: {
    action: 'stop',
    remedy: 'Token epochs have changed since these tokens were made: start the process anew.',
  },
  OUTPUT_FAILED: {
    action: 'stop',
    remedy:
      'The output cannot be written, or its reader has gone: check the path, its rights and free space.',
  },
  DEAD_LETTER_RATE: {
    action: 'stop',
    remedy:
      'Too many: none of this batch was published, and nothing was committed. Look at them ("sluice dlq list"), mend what made them and start again, or let them through with WRITER_MAX_DEAD_RATIO=1.',
  },
  STALLED: {
    action: 'stop',
    remedy: 'No progress although work is waiting: the process ends so that a supervisor starts it anew.',
  },
  STACK: { action: 'stop', remedy: 'The local stack logs to .sluice/log.' },
  INTERNAL: { action: 'stop', remedy: 'A defect in Sluice: please report it.' },
} as const satisfies Record<string, { action: Action; remedy: string }>;

export type ErrorCode = keyof typeof errorCodes;
export type DeadLetterCode = {
  [C in ErrorCode]: (typeof errorCodes)[C]['action'] extends 'deadLetter' ? C : never;
}[ErrorCode];

/**
 * The only error that crosses a module's border. **Its message never holds a body, a personal value, key material
 * or a driver's parameters**; `detail` names things (a field, a table, a host), never contents.
 */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, detail?: string) {
    super(detail === undefined ? errorCodes[code].remedy : `${detail}. ${errorCodes[code].remedy}`);
    this.code = code;
    this.detail = detail;
  }

  get action(): Action {
    return errorCodes[this.code].action;
  }
}

/** The process exit code for an error: 2 for usage and settings, 3 for a server that cannot be reached, 1 otherwise. */
export function exitCodeFor(error: PipelineError): number {
  if (error.code === 'USAGE' || error.code === 'CONFIG_INVALID') return 2;
  return error.action === 'retry' ? 3 : 1;
}

/** `"TypeError"`, `"ERR_INVALID_ARG_TYPE"`: what an error is called, when that is an identifier. */
export function errorName(error: unknown): string {
  if (!(error instanceof Error)) return 'not an Error';
  const name = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return /^[A-Za-z][A-Za-z0-9._]{0,63}$/.test(name) ? name : 'unnamed error';
}
