import { Socket } from 'node:net';
import { drizzle } from 'drizzle-orm/node-postgres';
import { sql, type Assume, type SQL } from 'drizzle-orm';
import { Pool, type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import { classifyDatabaseError, sqlStateOf } from './classify.ts';

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

/** One connection, or a pool of them: where transactions can begin. */
export interface Connection extends Session {
  /**
   * Begins, works, commits; rolls back when `work` throws, and throws what it threw. **A rejected commit leaves open
   * whether it happened**: what is in here must be safe to do again.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

export interface Database extends Connection, AsyncDisposable {
  /** One connection for the whole of `work`: for session locks and settings. Closed, not reused, if it broke. */
  withSession<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  /** Connections handed out and not returned. Not zero once everything is settled: a leak. */
  readonly busy: number;
}

export interface DatabaseOptions {
  readonly applicationName: string;
  /** Connections at most. */
  readonly max: number;
  /** The server cancels a statement that takes longer; the client gives up on a silent server 5 s after that. */
  readonly statementTimeoutMs: number;
}

/** A connection, or a slot in the pool, must be had within this; beyond it is an outage. */
const connectTimeoutMs = 10_000;

/** How much longer than the server the client waits: only a half-open socket or a frozen server needs it. */
const silentServerMs = 5_000;

/**
 * A pool of connections as one role. Connects on first use.
 *
 * Transactions are ours, not Drizzle's: Drizzle loses a connection for good when `begin` fails, and replaces the error by
 * that of the rollback (drizzle-orm 0.45 `NodePgSession.transaction`).
 */
export function openDatabase(url: string, options: DatabaseOptions): Database {
  const sockets = new Set<Socket>();
  const pool = new Pool({
    connectionString: url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
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

  const orm = drizzle({ client: pool });

  async function withSession<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch(rethrow);
    const connection = connectionOf(client);
    try {
      return await work(connection);
    } finally {
      client.release(connection.broken);
    }
  }

  return {
    execute: <Row extends QueryResultRow>(statement: SQL<Row> | SQL) =>
      orm.execute<Row>(statement).then(resultOf, rethrow),
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

interface PooledConnection extends Connection {
  /** True once anything but an answer of the server ended a statement: the connection is in an unknown state. */
  readonly broken: boolean;
}

function connectionOf(client: PoolClient): PooledConnection {
  const orm = drizzle({ client });
  let broken = false;
  const connection: PooledConnection = {
    execute: <Row extends QueryResultRow>(statement: SQL<Row> | SQL) =>
      orm.execute<Row>(statement).then(resultOf, (error: unknown) => {
        broken ||= sqlStateOf(error) === undefined;
        return rethrow(error);
      }),
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

function rethrow(error: unknown): never {
  throw classifyDatabaseError(error);
}

function ignore(): void {}
