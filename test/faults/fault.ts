import { sql } from 'drizzle-orm';
import { PipelineError } from '../../shared/errors.ts';
import { editPostgresUrl } from '../../shared/postgres-url.ts';
import { seededRandom } from '../../services/demo/sample-logins.ts';
import type { FaultServers } from '../helpers/fault-servers.ts';
import { FaultySqs } from '../helpers/faulty-sqs.ts';
import {
  ledgerCounts,
  ledgerOf,
  ledgerTiles,
  noDuplicates,
  noGaps,
  outcomeOf,
  sealedOnly,
} from '../helpers/invariants.ts';
import type { Outcome } from '../helpers/invariants.ts';
import { startLoad, type Load } from '../helpers/load.ts';
import { createPipeline, eventually, type Pipeline, type PipelineOptions } from '../helpers/pipeline.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { settled } from '../helpers/settle.ts';
import { TcpProxy } from '../helpers/tcp-proxy.ts';

/** Something that breaks, and what is expected beside the promises that always hold. */
export interface Fault {
  /** As in the table of docs/reliability.md. */
  readonly name: string;
  readonly pipeline?: Pick<PipelineOptions, 'partitions' | 'queue' | 'env'>;
  /** 1 when left out. */
  readonly writers?: number;
  /** Messages a second; 400 when left out. */
  readonly perSecond?: number;
  /** A database of its own instead of the one that all faults share; services reach it without a proxy. */
  readonly database?: () => Promise<FaultDatabase>;
  /** Why it cannot happen on this machine; undefined when it can. */
  readonly impossible?: () => Promise<string | undefined>;
  /** The services are started by `inject`. */
  readonly startsServices?: boolean;
  /** Breaks it, sees that it is broken, and heals it. What it leaves running must go on by itself. */
  inject(context: FaultContext): Promise<void>;
  /** Messages that may be sent after `inject` before the first is written again; 8,000 when left out: seconds. */
  readonly resumesWithin?: number;
  /** How long everything may take to arrive at the end; three minutes when left out. */
  readonly settlesWithinMs?: number;
  /** Dead letters beside the misshapen messages of the load: a rule, by what is in `sent`. None when left out. */
  mayDie?(context: FaultContext, outcome: Outcome): Promise<ReadonlySet<string>>;
}

/** A Postgres that breaks in a way of its own. */
export interface FaultDatabase extends AsyncDisposable {
  readonly adminUrl: string;
  fail(): Promise<void>;
  heal(): Promise<void>;
}

export interface FaultReport {
  readonly fault: string;
  readonly messages: number;
  /** Neither row nor dead letter. */
  readonly lost: number;
  /** With two rows, a row and a dead letter, or never sent. */
  readonly doubled: number;
  /** What else was not as promised, in words. */
  readonly failure: string | undefined;
}

export type Role = 'connector' | 'writer';

/** What a fault has at hand: a pipeline under load, its servers, and the proxies between them. */
export class FaultContext {
  readonly pipeline: Pipeline;
  readonly servers: FaultServers;
  readonly proxies: Proxies;
  readonly sqs: FaultySqs;
  readonly load: Load;
  /** What the fault has opened, until the services are gone. */
  readonly resources: AsyncDisposableStack;
  readonly #database: FaultDatabase | undefined;
  /** Seeded. */
  readonly random: () => number;
  /** The soak takes its time. */
  readonly long: boolean;
  readonly running: Record<Role, ServiceProcess[]> = { connector: [], writer: [] };
  readonly #env: Readonly<Record<string, string>>;

  constructor(parts: {
    pipeline: Pipeline;
    servers: FaultServers;
    proxies: Proxies;
    sqs: FaultySqs;
    load: Load;
    resources: AsyncDisposableStack;
    random: () => number;
    long: boolean;
    database: FaultDatabase | undefined;
  }) {
    const { pipeline, servers, proxies } = parts;
    this.pipeline = pipeline;
    this.servers = servers;
    this.proxies = proxies;
    this.sqs = parts.sqs;
    this.load = parts.load;
    this.resources = parts.resources;
    this.random = parts.random;
    this.long = parts.long;
    this.#database = parts.database;
    const throughProxy = (url: URL) => {
      url.port = String(proxies.postgres.port);
    };
    const { writer } = pipeline.database.urls;
    this.#env = {
      DATABASE_URL: parts.database === undefined ? editPostgresUrl(writer, throughProxy) : writer,
      KAFKA_BROKERS: proxies.kafka.map(({ port }) => `127.0.0.1:${port}`).join(','),
      AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${proxies.sqs.port}`,
    };
  }

  /** Of a fault that has one. */
  get database(): FaultDatabase {
    if (this.#database === undefined) throw new Error('this fault has no database of its own');
    return this.#database;
  }

  /** Starts one more, behind the proxies; see {@link Pipeline.start}. */
  async start(
    role: Role,
    env: Readonly<Record<string, string>> = {},
    within: readonly string[] = [],
  ): Promise<ServiceProcess> {
    const started = await this.pipeline.start(role, { ...this.#env, ...env }, [], within);
    this.running[role].push(started);
    return started;
  }

  /** Ends the oldest and says how it ended. */
  async end(role: Role, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string> {
    const oldest = this.running[role].shift();
    if (oldest === undefined) throw new Error(`no ${role} runs`);
    if (oldest.ended !== undefined) throw new Error(`the ${role} had ended by itself with ${oldest.ended}`);
    return oldest.kill(signal);
  }

  /** Until so many more messages have been sent. */
  async sends(more: number): Promise<void> {
    const goal = this.load.sent.size + more;
    await eventually(`${more} more sent`, () => this.load.sent.size >= goal);
  }

  /** Until so many more records are in the ledger: the whole pipeline works. Only while Postgres can be asked. */
  async flows(more = 200): Promise<void> {
    const goal = (await this.written()) + more;
    await eventually(`${more} more written`, async () => (await this.written()) >= goal);
  }

  /** Until something is written, which must be before so many more messages have been sent. */
  async resumes(within: number): Promise<void> {
    const before = await this.written();
    const limit = this.load.sent.size + within;
    await eventually('something written', async () => {
      if (this.load.sent.size > limit) throw new Error(`nothing was written while ${within} messages came`);
      return (await this.written()) > before;
    });
  }

  /** Records in the ledger; -1 while Postgres cannot be asked. */
  async written(): Promise<number> {
    try {
      return (await ledgerOf(this.pipeline)).read;
    } catch (error) {
      if (error instanceof PipelineError && error.action === 'retry') return -1;
      throw error;
    }
  }

  /** Does `act`, then waits until the services have said `what` once more than before. */
  async logs(what: RegExp, act: () => unknown): Promise<void> {
    const count = async () => (await this.pipeline.logs()).match(new RegExp(what, 'g'))?.length ?? 0;
    const before = await count();
    await act();
    await eventually(`${what} logged`, async () => (await count()) > before);
  }

  /** Does `act` while a writer is in the middle of a transaction: its rows are in, its ledger is not. */
  async beforeLedger(act: () => Promise<void> | void): Promise<void> {
    const { admin } = this.pipeline;
    // Rows and ledger are one statement: what stops between them is a trigger, not a lock on the table, which comes before both.
    await admin.execute(sql`create or replace function hold() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(5); return new; end $$`);
    await admin.execute(
      sql`create or replace trigger hold before insert on ledger for each row execute function hold()`,
    );
    await admin.transaction(async (session) => {
      await session.execute(sql`select pg_advisory_xact_lock(5)`);
      await eventually('a writer is about to write its ledger', async () => {
        // Not in the session that holds the lock: within a transaction, this view stays what it was.
        const { rowCount } = await admin.execute(
          sql`select from pg_stat_activity
              where datname = current_database() and application_name = 'sluice-writer' and wait_event = 'advisory'`,
        );
        return rowCount > 0;
      });
      await act();
    });
  }

  /** Each batch takes so many seconds more, within its transaction; 0: as before. */
  async slowLedger(seconds: number): Promise<void> {
    const { admin } = this.pipeline;
    await admin.execute(
      sql.raw(`create or replace function slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(${seconds}); return null; end $$`),
    );
    await admin.execute(
      sql`create or replace trigger slow before insert on ledger for each statement execute function slow()`,
    );
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }
}

export interface Proxies extends AsyncDisposable {
  readonly postgres: TcpProxy;
  readonly sqs: TcpProxy;
  readonly kafka: readonly TcpProxy[];
}

async function openProxies(servers: FaultServers, sqs: FaultySqs, random: () => number): Promise<Proxies> {
  await using opening = new AsyncDisposableStack();
  const { ports, behindProxy, proxies } = servers.cluster;
  const open = async (port: number, targetPort: number) =>
    opening.use(await TcpProxy.open({ port, targetPort, random }));
  const postgres = await open(proxies.postgres, ports.postgres);
  const throughHttp = await open(proxies.sqs, sqs.port);
  const kafka: TcpProxy[] = [];
  for (const [i, port] of proxies.kafka.entries()) kafka.push(await open(port, behindProxy[i] ?? 0));
  const owned = opening.move();
  return { postgres, sqs: throughHttp, kafka, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/**
 * Runs a pipeline on the servers, under load, lets the fault happen, waits until everything has arrived, and looks at what is in Postgres
 * and Kafka. **Rejects only when the fault could not be run to its end**; what was found broken is in the report.
 */
export async function runFault(
  servers: FaultServers,
  fault: Fault,
  options: { readonly seed: number; readonly long: boolean },
): Promise<FaultReport> {
  const random = seededRandom(options.seed);
  await using sqs = await FaultySqs.open(servers.cluster.ports.sqs);
  await using proxies = await openProxies(servers, sqs, random);
  await using database = await fault.database?.();
  const postgresAdminUrl = database?.adminUrl ?? servers.direct.postgresAdminUrl;
  await using resources = new AsyncDisposableStack();
  await using pipeline = await createPipeline(
    { ...servers.direct, postgresAdminUrl },
    {
      partitions: 8,
      replication: 3,
      ...fault.pipeline,
      // What a killed connector held comes back after this, and no outage buries it.
      queue: { visibilityTimeout: 5, redrive: { maxReceiveCount: 1_000 }, ...fault.pipeline?.queue },
    },
  );
  const load = startLoad(pipeline.queue, { perSecond: fault.perSecond ?? 400, seed: options.seed });
  const { long } = options;
  const context = new FaultContext({
    pipeline,
    servers,
    proxies,
    sqs,
    load,
    resources,
    random,
    long,
    database,
  });
  try {
    if (fault.startsServices !== true) {
      await context.start('connector');
      for (let i = 0; i < (fault.writers ?? 1); i++) await context.start('writer');
      await context.flows();
    }
    await fault.inject(context);
    await context.resumes(fault.resumesWithin ?? 8_000);
    await context.flows();
    await load.stop();
    await settled(pipeline, fault.settlesWithinMs);
    return await examine(context, fault);
  } catch (error) {
    throw new Error(`${fault.name}, seed ${options.seed}: ${await lastWords(pipeline)}`, { cause: error });
  } finally {
    await load.stop();
    sqs.intercept = undefined;
    await servers.restore();
    // Backends whose clients are silent would outlive them.
    proxies.postgres.cut();
  }
}

async function examine(context: FaultContext, fault: Fault): Promise<FaultReport> {
  const { pipeline, load } = context;
  const outcome = await outcomeOf(pipeline);
  const mayDie = (await fault.mayDie?.(context, outcome)) ?? new Set();
  const dead = [...outcome.dead.keys()].filter((id) => !load.misshapen.has(id) && !mayDie.has(id));
  const failures: string[] = [];
  const check = async (assertion: () => Promise<void> | void) => {
    try {
      await assertion();
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  };
  await check(() => noGaps(load.sent, outcome));
  await check(() => noDuplicates(load.sent, outcome));
  await check(() => sealedOnly(pipeline.admin));
  await check(() => ledgerTiles(pipeline));
  await check(() => ledgerCounts(pipeline));
  if (dead.length > 0) failures.push(`${dead.length} dead letters that are nobody's fault`);
  for (const role of ['connector', 'writer'] as const) {
    while (context.running[role].length > 0) {
      const [oldest] = context.running[role];
      const ended = oldest?.ended;
      const code = ended ?? (await context.end(role, 'SIGTERM'));
      if (ended !== undefined) context.running[role].shift();
      if (ended !== undefined || code !== 0) failures.push(`a ${role} ended with ${code}`);
    }
  }
  const lost = [...load.sent].filter((id) => !outcome.rows.has(id) && !outcome.dead.has(id)).length;
  const doubled = [...outcome.rows].filter(
    ([id, n]) => n !== 1 || outcome.dead.has(id) || !load.sent.has(id),
  ).length;
  return {
    fault: fault.name,
    messages: load.sent.size,
    lost,
    doubled,
    failure: failures.length === 0 ? undefined : `${failures.join('\n')}\n${await lastWords(pipeline)}`,
  };
}

async function lastWords(pipeline: Pipeline): Promise<string> {
  return (await pipeline.logs()).split('\n').slice(-60).join('\n');
}
