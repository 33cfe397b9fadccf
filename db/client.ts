import { Socket } from 'node:net';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { sql, type Assume, type SQL } from 'drizzle-orm';
import { Pool, type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import { PgDialect } from 'drizzle-orm/pg-core';
import { PipelineError } from '../shared/errors.ts';
import { classifyDatabaseError, sqlStateOf } from './classify.ts';
import { copyFrom, copyTo, SourceFailed } from './copy.ts';
import { queryDirectly } from './direct-query.ts';
import { PreparedTexts } from './prepared-texts.ts';
import { Servers } from './servers.ts';

export interface Result<Row> {
  readonly rows: Row[];
  /** The count in the command's tag: rows inserted, updated or returned. */
  readonly rowCount: number;
}

/** Where a statement runs: the pool, one connection, or a transaction. */
export interface Session {
  /**
   * Runs one statement built with Drizzle's `sql`. `Row` is what the statement says it returns (`SQL<Row>`): bigint and
   * numeric as text, date and timestamptz as text, bytea as Buffer.
   * @throws PipelineError, whatever went wrong: see {@link classifyDatabaseError}.
   */
  execute<Row extends QueryResultRow>(
    statement: SQL<Row> | SQL,
  ): Promise<Result<Assume<Row, QueryResultRow>>>;
}

/** Where a statement that is run again and again can be kept ready. */
export interface PreparingSession extends Session {
  /**
   * {@link Session.execute} of a statement that Postgres parses and plans once a connection, under `name`: **one name, one text**.
   * @throws PipelineError
   */
  executePrepared<Row extends QueryResultRow>(
    name: string,
    statement: SQL<Row> | SQL,
  ): Promise<Result<Assume<Row, QueryResultRow>>>;
}

/** One connection, or a pool of them: where transactions can begin. */
export interface Connection extends Session {
  /**
   * Begins, works, commits; rolls back when `work` throws, and throws what it threw. **A rejected commit leaves open
   * whether it happened**: what is in here must be safe to do again.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** A connection where a statement that is run again and again can be kept ready, inside transactions and outside. */
export interface PreparingConnection extends Connection, PreparingSession {
  transaction<T>(work: (session: PreparingSession) => Promise<T>): Promise<T>;
}

/**
 * One connection, one statement at a time: what a session lock or setting belongs to. Once it has broken every statement fails at once.
 * Statements of `copy` take no parameters; inside a transaction, which may set a longer statement timeout for them.
 */
export interface PinnedConnection extends Connection {
  /** `copy … to stdout` as it comes. Whoever does not read it to its end has broken the connection. @throws PipelineError */
  copyTo(statement: SQL): AsyncIterable<Buffer>;
  /**
   * `copy … from stdin` of `content`. Resolves with the number of rows.
   * @throws what reading `content` throws, and PipelineError
   */
  copyFrom(statement: SQL, content: AsyncIterable<Uint8Array>): Promise<number>;
}

export interface Database extends PreparingConnection, AsyncDisposable {
  /** One connection for the whole of `work`: for session locks and settings. Closed, not reused, if it broke. */
  withSession<T>(work: (connection: PinnedConnection) => Promise<T>): Promise<T>;
  /** Connections handed out and not returned. Not zero once everything is settled: a leak. */
  readonly busy: number;
}

export interface DatabaseOptions {
  readonly applicationName: string;
  /** Connections at most. */
  readonly max: number;
  /** The server cancels a statement that takes longer; the client gives up on a silent server 5 s after that. */
  readonly statementTimeoutMs: number;
  /**
   * The server ends a transaction whose client has been silent for so long; never, when left out. A client that has gone without a word
   * leaves its transaction open, and whoever writes the same rows again waits for that one.
   */
  readonly idleInTransactionMs?: number;
}

/** A connection, or a slot in the pool, must be had within this; beyond it is an outage. */
const connectTimeoutMs = 10_000;

/** SQLSTATE of a statement that a read-only session refused. */
const readOnly = '25006';

/** How much longer than the server the client waits: only a half-open socket or a frozen server needs it. */
const silentServerMs = 5_000;

/**
 * A pool of connections as one role. Connects on first use. Of a URL that names several servers, to the first that suits: see {@link Servers}.
 *
 * Transactions are ours, not Drizzle's: Drizzle loses a connection for good when `begin` fails, and replaces the error by
 * that of the rollback (drizzle-orm 0.45 `NodePgSession.transaction`).
 */
export function openDatabase(url: string, options: DatabaseOptions): Database {
  const sockets = new Set<Socket>();
  const servers = new Servers(url);
  const pool = new Pool({
    Client: servers.Client,
    onConnect: (client) => servers.check(client),
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    ...(options.idleInTransactionMs === undefined
      ? {}
      : { idle_in_transaction_session_timeout: options.idleInTransactionMs }),
    query_timeout: options.statementTimeoutMs + silentServerMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    stream: () => {
      const socket = new Socket();
      sockets.add(socket);
      return socket.once('close', () => sockets.delete(socket));
    },
  });
  // An error of an idle connection is news of the past: the pool has dropped it, and the next statement finds out.
  pool.on('error', ignore);
  // The same between two statements of a transaction, where pg leaves the connection without a listener.
  pool.on('connect', (client) => client.on('error', ignore));

  async function withSession<T>(work: (connection: PooledConnection) => Promise<T>): Promise<T> {
    const client = await servers.connect(pool).catch(rethrow);
    const connection = connectionOf(client, () => servers.passOver(client));
    try {
      return await work(connection);
    } finally {
      client.release(connection.broken);
    }
  }

  return {
    execute: <Row extends QueryResultRow>(statement: SQL<Row> | SQL) =>
      withSession((connection) => connection.execute<Row>(statement)),
    executePrepared: <Row extends QueryResultRow>(name: string, statement: SQL<Row> | SQL) =>
      withSession((connection) => connection.executePrepared<Row>(name, statement)),
    transaction: (work) => withSession((connection) => connection.transaction(work)),
    withSession,
    get busy() {
      return pool.totalCount - pool.idleCount;
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
      // pg leaves the socket of a login open that it gave up by itself (a URL without a password): it would keep the process
      // for the minute that the server waits.
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** For several that share one connection: each statement waits for the one before it. */
export function oneAtATime(session: Session): Session {
  let last: Promise<unknown> = Promise.resolve();
  return {
    execute<Row extends QueryResultRow>(statement: SQL<Row> | SQL) {
      const result = last.then(() => session.execute<Row>(statement));
      last = result.catch(ignore);
      return result;
    },
  };
}

interface PooledConnection extends PinnedConnection, PreparingConnection {
  transaction: PreparingConnection['transaction'];
  /**
   * True once anything but an answer of the server ended a statement, for the connection is in an unknown state; and once it was
   * said to be read-only: a new one may not be, or lead to another server.
   */
  readonly broken: boolean;
}

const dialect = new PgDialect();
const preparedTexts = new PreparedTexts();

function connectionOf(client: PoolClient, onReadOnly: () => void): PooledConnection {
  let orm: NodePgDatabase | undefined;
  let broken = false;
  const failed = (error: unknown): never => {
    const state = sqlStateOf(error);
    broken ||= state === undefined || state === readOnly;
    if (state === readOnly) onReadOnly();
    return rethrow(error);
  };
  const connection: PooledConnection = {
    async execute<Row extends QueryResultRow>(statement: SQL<Row> | SQL) {
      // It would wait behind the statement that never ended.
      if (broken) throw new PipelineError('DATABASE_UNAVAILABLE', 'the connection broke');
      orm ??= drizzle({ client });
      return orm.execute<Row>(statement).then(resultOf, failed);
    },
    async executePrepared<Row extends QueryResultRow>(name: string, statement: SQL<Row> | SQL) {
      if (broken) throw new PipelineError('DATABASE_UNAVAILABLE', 'the connection broke');
      const prepared = preparedTexts.statementOf(name, statement);
      return queryDirectly<Assume<Row, QueryResultRow>>(client, prepared).then(resultOf, failed);
    },
    async *copyTo(statement) {
      let ended = false;
      try {
        yield* copyTo(client, textOf(statement));
        ended = true;
      } catch (error) {
        ended = sqlStateOf(error) !== undefined;
        failed(error);
      } finally {
        broken ||= !ended;
      }
    },
    async copyFrom(statement, content) {
      return copyFrom(client, textOf(statement), content).catch((error: unknown) => {
        if (error instanceof SourceFailed) throw error.cause;
        return failed(error);
      });
    },
    async transaction(work) {
      await connection.execute(sql`begin`);
      try {
        const result = await work(connection);
        await connection.execute(sql`commit`);
        return result;
      } catch (error) {
        if (!broken) await connection.execute(sql`rollback`).catch(ignore);
        throw error;
      }
    },
    get broken() {
      return broken;
    },
  };
  return connection;
}

function resultOf<Row extends QueryResultRow>(result: QueryResult<Row>): Result<Row> {
  return { rows: result.rows, rowCount: result.rowCount ?? 0 };
}

function textOf(statement: SQL): string {
  const query = dialect.sqlToQuery(statement);
  if (query.params.length > 0) throw new PipelineError('INTERNAL', 'copy takes no parameters');
  return query.sql;
}

function rethrow(error: unknown): never {
  throw classifyDatabaseError(error);
}

function ignore(): void {}
