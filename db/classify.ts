import { errorName, PipelineError, type ErrorCode } from '../shared/errors.ts';

/**
 * What any failure of a statement means, by SQLSTATE (PostgreSQL manual, appendix A) or by what Node and pg call it.
 * Total: what nobody has classified is UNKNOWN, by its name. **Nothing of the driver's message, detail, query or parameters is kept**
 * (Drizzle puts query and parameters into its message), only the SQLSTATE or Node's error code.
 */
export function classifyDatabaseError(error: unknown): PipelineError {
  for (const link of causes(error)) {
    if (link instanceof PipelineError) return link;
    const state = sqlStateIn(link);
    if (state !== undefined) return new PipelineError(codeOfState(state, link), `SQLSTATE ${state}`);
    if ('code' in link && typeof link.code === 'string' && isNodeCode(link.code)) {
      return new PipelineError('DATABASE_UNAVAILABLE', link.code);
    }
    const code = plainErrors.find(([pattern]) => pattern.test(link.message))?.[1];
    if (code !== undefined) return new PipelineError(code);
  }
  return new PipelineError('UNKNOWN', errorName(error));
}

/** The SQLSTATE the server answered with, or undefined when the failure is not an answer of the server. */
export function sqlStateOf(error: unknown): string | undefined {
  for (const link of causes(error)) {
    const state = sqlStateIn(link);
    if (state !== undefined) return state;
  }
  return undefined;
}

/** Drizzle wraps pg's error, pg-pool sometimes the socket's. */
function* causes(error: unknown): Generator<Error> {
  for (let link = error, depth = 0; link instanceof Error && depth < 8; link = link.cause, depth++) {
    yield link;
  }
}

/** pg's DatabaseError has a severity; Node's errors of five letters (EPIPE) have none. */
function sqlStateIn(error: Error): string | undefined {
  if (!('severity' in error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/** First match wins: whole states before their classes. */
function codeOfState(state: string, error: Error): ErrorCode {
  // A check violation that names no constraint is raised where a row is routed to its partition (ExecFindPartition).
  if (state === '23514' && 'routine' in error && error.routine === 'ExecFindPartition') {
    return 'PARTITION_MISSING';
  }
  return (
    statesAndClasses.get(state) ??
    statesAndClasses.get(state.slice(0, 3)) ??
    statesAndClasses.get(state.slice(0, 2)) ??
    'UNKNOWN'
  );
}

const statesAndClasses: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['08', 'DATABASE_UNAVAILABLE'], // connection exception
  ['22', 'DATABASE_REJECTED'], // data exception
  ['23', 'DATABASE_REJECTED'], // integrity constraint violation
  ['25006', 'DATABASE_UNAVAILABLE'], // read-only transaction: a standby, or a failover under way
  ['25P03', 'DATABASE_UNAVAILABLE'], // idle in transaction for too long
  ['25P04', 'DATABASE_UNAVAILABLE'], // transaction timeout
  ['28', 'DATABASE_FORBIDDEN'], // invalid authorization
  ['3D000', 'DATABASE_SCHEMA'], // no such database
  ['3F000', 'DATABASE_SCHEMA'], // no such schema
  ['40', 'DATABASE_UNAVAILABLE'], // transaction rollback: deadlock, serialization
  ['42501', 'DATABASE_FORBIDDEN'], // insufficient privilege
  ['42703', 'DATABASE_SCHEMA'], // no such column
  ['42804', 'DATABASE_SCHEMA'], // a column of another type
  ['42883', 'DATABASE_SCHEMA'], // no such function
  ['42P01', 'DATABASE_SCHEMA'], // no such table
  ['42P10', 'DATABASE_SCHEMA'], // no unique index for this "on conflict"
  ['53', 'DATABASE_UNAVAILABLE'], // insufficient resources
  ['55006', 'DATABASE_UNAVAILABLE'], // object in use
  ['55P03', 'DATABASE_UNAVAILABLE'], // lock not available
  ['57014', 'DATABASE_UNAVAILABLE'], // cancelled: a statement timeout
  ['57P', 'DATABASE_UNAVAILABLE'], // shut down, crashed, or starting up
  ['58', 'DATABASE_UNAVAILABLE'], // the server's disk or system
  ['SL001', 'TOKENS_CHANGED'], // raised by assert_token_epochs()
]);

/** `ECONNREFUSED`, `EAI_AGAIN`, `ENOTFOUND`, TLS's `CERT_HAS_EXPIRED`: a host that cannot be talked to. */
function isNodeCode(code: string): boolean {
  return /^E[A-Z]{2,}(_[A-Z]+)?$/.test(code) || /CERT|SELF_SIGNED|^ERR_(TLS|SSL|SOCKET)/.test(code);
}

/** Failures that pg 8 and pg-pool 3 raise themselves, as plain errors with nothing but a text to know them by. */
const plainErrors: readonly [RegExp, ErrorCode][] = [
  [/^SASL: /, 'DATABASE_FORBIDDEN'],
  [/^Connection terminated/, 'DATABASE_UNAVAILABLE'],
  [/^timeout e(xceeded|xpired)/, 'DATABASE_UNAVAILABLE'],
  [/^Query read timeout$/, 'DATABASE_UNAVAILABLE'],
  [/not queryable$/, 'DATABASE_UNAVAILABLE'],
  [/^Cannot use a pool after calling end/, 'DATABASE_UNAVAILABLE'],
  [/SSL connection/, 'DATABASE_UNAVAILABLE'],
];
