import { Client, type ClientBase, type ClientConfig, type Pool, type PoolClient } from 'pg';
import { PipelineError } from '../shared/errors.ts';
import { parsePostgresUrl, type PostgresUrl, type SessionAttrs } from '../shared/postgres-url.ts';
import { classifyDatabaseError, sqlStateOf } from './classify.ts';

/** One of several servers that does not answer must not keep us from the others for long: three of them are asked in 15 s. */
const connectTimeoutMs = 5_000;

/** The server is starting, or a standby that takes no sessions: libpq, too, goes on to the next one. */
const cannotConnectNow = '57P03';

const sessionQuery = `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only`;

interface SessionState {
  readonly standby: boolean;
  readonly read_only: boolean;
}

const suits: Readonly<Record<SessionAttrs, (state: SessionState) => boolean>> = {
  any: () => true,
  'read-write': ({ read_only }) => !read_only,
  'read-only': ({ read_only }) => read_only,
  primary: ({ standby }) => !standby,
  standby: ({ standby }) => standby,
};

/**
 * The servers of a database URL, for pg, which knows one. As libpq does: **a server that cannot be reached, that takes no sessions now, or
 * whose sessions are not as `target_session_attrs` wants them, is passed over for the next; one that answers anything else (a wrong
 * password, too many connections) is not.** Unlike libpq, which begins with the first each time, new connections begin with the server
 * that was good last, so that a pool does not wait for a dead one again and again.
 */
export class Servers {
  readonly #url: PostgresUrl;
  readonly #of = new WeakMap<object, number>();
  #turn = 0;

  /** @throws PipelineError CONFIG_INVALID */
  constructor(url: string) {
    const parsed = parsePostgresUrl(url);
    if ('problem' in parsed) throw new PipelineError('CONFIG_INVALID', `the database URL ${parsed.problem}`);
    this.#url = parsed;
  }

  /** What a pool makes its connections with: to the server whose turn it is. */
  get Client(): new (config?: ClientConfig) => Client {
    const made = (client: Client): void => void this.#of.set(client, this.#turn);
    const settings = (): ClientConfig => ({
      connectionString: this.#url.servers[this.#turn] ?? this.#url.servers[0],
      ...(this.#url.servers.length > 1 ? { connectionTimeoutMillis: connectTimeoutMs } : {}),
    });
    return class extends Client {
      constructor(config: ClientConfig = {}) {
        super({ ...config, ...settings() });
        made(this);
      }
    };
  }

  /** A connection of the pool, new or not. @throws whatever pg throws; PipelineError DATABASE_UNAVAILABLE when no server suits */
  async connect(pool: Pool): Promise<PoolClient> {
    for (let tried = 1; ; tried += 1) {
      const turn = this.#turn;
      try {
        return await pool.connect();
      } catch (error) {
        if (!isOfServer(error)) throw error;
        this.#pass(turn);
        if (tried >= this.#url.servers.length) throw error;
      }
    }
  }

  /** For the pool's `onConnect`: whether a new connection is what the URL wants. @throws PipelineError DATABASE_UNAVAILABLE */
  async check(client: ClientBase): Promise<void> {
    const { attrs } = this.#url;
    if (attrs === 'any') return;
    const { rows } = await client.query<SessionState>(sessionQuery);
    if (rows[0] !== undefined && suits[attrs](rows[0])) return;
    const which = this.#url.servers.length > 1 ? 'no server of the database URL is' : 'the server is not';
    throw new PipelineError('DATABASE_UNAVAILABLE', `${which} ${attrs}`);
  }

  /** The server of this connection is not what it was: the next connection is to another. */
  passOver(client: ClientBase): void {
    const server = this.#of.get(client);
    if (server !== undefined) this.#pass(server);
  }

  /** Several that failed at the same server move on by one. */
  #pass(server: number): void {
    if (this.#turn === server) this.#turn = (server + 1) % this.#url.servers.length;
  }
}

/** Whether another server might be better. Waiting in vain for a slot of the pool says nothing of a server. */
function isOfServer(error: unknown): boolean {
  if (error instanceof Error && error.message === 'timeout exceeded when trying to connect') return false;
  const state = sqlStateOf(error);
  return state === undefined ? classifyDatabaseError(error).action === 'retry' : state === cannotConnectNow;
}
