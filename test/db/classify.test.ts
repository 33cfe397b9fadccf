import { DrizzleQueryError } from 'drizzle-orm';
import { DatabaseError } from 'pg';
import { describe, expect, test } from 'vitest';
import { classifyDatabaseError, sqlStateOf } from '../../db/classify.ts';
import { PipelineError, type ErrorCode } from '../../shared/errors.ts';

const secret = '203.0.113.7';

function answer(code: string, fields: Partial<DatabaseError> = {}): DatabaseError {
  const error = new DatabaseError(`value ${secret} is wrong`, 0, 'error');
  return Object.assign(
    error,
    { code, severity: 'ERROR', detail: `Key (ip)=(${secret})`, where: secret },
    fields,
  );
}

function nodeError(code: string): Error {
  return Object.assign(new Error(`connect ${code} ${secret}:5432`), { code });
}

const byState: [string, ErrorCode][] = [
  ['08006', 'DATABASE_UNAVAILABLE'],
  ['08P01', 'DATABASE_UNAVAILABLE'],
  ['22001', 'DATABASE_REJECTED'],
  ['22P02', 'DATABASE_REJECTED'],
  ['22021', 'DATABASE_REJECTED'],
  ['23502', 'DATABASE_REJECTED'],
  ['23505', 'DATABASE_REJECTED'],
  ['23514', 'DATABASE_REJECTED'],
  ['25006', 'DATABASE_UNAVAILABLE'],
  ['28P01', 'DATABASE_FORBIDDEN'],
  ['28000', 'DATABASE_FORBIDDEN'],
  ['3D000', 'DATABASE_SCHEMA'],
  ['40001', 'DATABASE_UNAVAILABLE'],
  ['40P01', 'DATABASE_UNAVAILABLE'],
  ['42501', 'DATABASE_FORBIDDEN'],
  ['42703', 'DATABASE_SCHEMA'],
  ['42P01', 'DATABASE_SCHEMA'],
  ['53100', 'DATABASE_UNAVAILABLE'],
  ['53300', 'DATABASE_UNAVAILABLE'],
  ['55P03', 'DATABASE_UNAVAILABLE'],
  ['57014', 'DATABASE_UNAVAILABLE'],
  ['57P01', 'DATABASE_UNAVAILABLE'],
  ['57P03', 'DATABASE_UNAVAILABLE'],
  ['58030', 'DATABASE_UNAVAILABLE'],
  ['42601', 'UNKNOWN'],
  ['XX000', 'UNKNOWN'],
];

describe('an answer of the server', () => {
  test.for(byState)('%s is %s', ([state, code]) => {
    expect(classifyDatabaseError(answer(state))).toMatchObject({ code, detail: `SQLSTATE ${state}` });
  });

  test('a row without a partition is told apart from a failed check', () => {
    expect(classifyDatabaseError(answer('23514', { routine: 'ExecFindPartition' }))).toMatchObject({
      code: 'PARTITION_MISSING',
    });
    expect(
      classifyDatabaseError(answer('23514', { routine: 'ExecConstraints', constraint: 'ledger_adds_up' })),
    ).toMatchObject({ code: 'DATABASE_REJECTED' });
  });
});

const byNode = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENOENT',
];
const byTls = ['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'];
test.for([...byNode, ...byTls])('%s is an outage', (code) => {
  expect(classifyDatabaseError(nodeError(code))).toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
    detail: code,
  });
  expect(sqlStateOf(nodeError(code))).toBeUndefined();
});

const byText: [string, ErrorCode][] = [
  ['Connection terminated unexpectedly', 'DATABASE_UNAVAILABLE'],
  ['Connection terminated due to connection timeout', 'DATABASE_UNAVAILABLE'],
  ['timeout exceeded when trying to connect', 'DATABASE_UNAVAILABLE'],
  ['Query read timeout', 'DATABASE_UNAVAILABLE'],
  ['Client has encountered a connection error and is not queryable', 'DATABASE_UNAVAILABLE'],
  ['The server does not support SSL connections', 'DATABASE_UNAVAILABLE'],
  ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', 'DATABASE_FORBIDDEN'],
];
test.for(byText)('pg says "%s": %s', ([text, code]) => {
  expect(classifyDatabaseError(new Error(text))).toMatchObject({ code });
});

test('looks into what Drizzle and pg-pool wrap, and takes nothing of it along', () => {
  const error = new DrizzleQueryError(`insert '${secret}'`, [secret], answer('22001'));
  const classified = classifyDatabaseError(error);
  expect(classified.code).toBe('DATABASE_REJECTED');
  expect(JSON.stringify([classified, classified.message, classified.cause])).not.toContain(secret);
  expect(classifyDatabaseError(new Error('x', { cause: nodeError('ECONNRESET') })).code).toBe(
    'DATABASE_UNAVAILABLE',
  );
});

test('anything else is UNKNOWN, and what is classified already passes', () => {
  const circular = new Error('a');
  circular.cause = circular;
  for (const odd of [undefined, null, 'text', 42, {}, new TypeError('x'), circular, nodeError('22001')]) {
    expect(classifyDatabaseError(odd)).toMatchObject({ code: 'UNKNOWN' });
  }
  const known = new PipelineError('KEY_MISSING');
  expect(classifyDatabaseError(known)).toBe(known);
});
