import { sql } from 'drizzle-orm';
import type { Session } from '../../db/client.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { watchOver } from './alive.ts';
import { cpuSeconds, treeCpuSeconds } from './process-cost.ts';

/** One measurement of a program that moves something. */
export interface Sample {
  /** Rows or messages a second, without the start of the process. */
  readonly perSecond: number;
  /** CPU of the process (or, for COPY, the client), microseconds a row or message. */
  readonly cpuMicros: number;
  /** CPU of all Postgres processes, microseconds a row. */
  readonly postgresMicros?: number | undefined;
  /** Peak resident memory of the process, MiB. */
  readonly peakMiB?: number | undefined;
  /** From the start of the process to the first row. */
  readonly firstMs?: number | undefined;
}

const lookMs = 250;
const fewRows = 10_000;

/** A partitioned table that rows come into. Looking costs Postgres next to nothing: it estimates until nearly all are there. */
export class Sink {
  readonly #session: Session;
  readonly #table: string;
  #estimateAtStart = 0;
  /** Rows that were there before. */
  #before = 0;
  #startedAt = '';

  private constructor(session: Session, table: string) {
    this.#session = session;
    this.#table = table;
  }

  /** As the table is now: what is in it already does not count. */
  static async from(session: Session, table: string): Promise<Sink> {
    const sink = new Sink(session, table);
    sink.#before = await sink.#countAll();
    sink.#estimateAtStart = await sink.#estimate();
    const { rows } = await session.execute<{ now: string }>(sql`select clock_timestamp()::text as now`);
    sink.#startedAt = rows[0]?.now ?? '';
    return sink;
  }

  async hasNew(): Promise<boolean> {
    if (this.#before === 0) {
      const { rowCount } = await this.#session.execute(
        sql`select 1 from ${sql.identifier(this.#table)} limit 1`,
      );
      return rowCount > 0;
    }
    return (await this.#estimate()) > this.#estimateAtStart;
  }

  /** New rows: counted while there are few, then estimated, a second late, and counted again once they may be all of `wanted`. */
  async count(wanted: number): Promise<number> {
    const estimated = (await this.#estimate()) - this.#estimateAtStart;
    const few = this.#before + estimated < fewRows;
    return !few && estimated < 0.9 * wanted ? estimated : (await this.#countAll()) - this.#before;
  }

  /** Rows a second from the first commit to the last, by the times that Postgres gave them. */
  async rate(): Promise<{ perSecond: number; firstAtMs: number }> {
    const { rows } = await this.#session.execute<{ at_ms: number; n: number }>(sql`
      select extract(epoch from pg_xact_commit_timestamp(xid))::float8 * 1000 as at_ms, n
      from (select xmin as xid, count(*)::integer as n from ${sql.identifier(this.#table)}
            where ingested_at > ${this.#startedAt}::timestamptz group by xmin) as by_transaction
      order by at_ms`);
    const [first, last] = [rows[0], rows.at(-1)];
    if (first === undefined || last === undefined) throw new Error('no rows');
    const after = rows.reduce((sum, { n }) => sum + n, 0) - first.n;
    return { perSecond: (after / (last.at_ms - first.at_ms)) * 1_000, firstAtMs: first.at_ms };
  }

  async #countAll(): Promise<number> {
    const { rows } = await this.#session.execute<{ n: number }>(
      sql`select count(*)::integer as n from ${sql.identifier(this.#table)}`,
    );
    return rows[0]?.n ?? 0;
  }

  async #estimate(): Promise<number> {
    const { rows } = await this.#session.execute<{ n: number }>(sql`
      select coalesce(sum(n_tup_ins), 0)::float8 as n from pg_stat_user_tables
      where relid in (select inhrelid from pg_inherits where inhparent = ${this.#table}::regclass)`);
    return rows[0]?.n ?? 0;
  }
}

/**
 * Starts a program and waits until exactly `rows` new rows are in the table. CPU counts from the first row on, so that the start of the process is
 * nobody's cost a row. @throws when it ends, or rows are missing or too many
 */
export async function measureInto(
  sink: Sink,
  options: {
    readonly rows: number;
    readonly postgresPid: number;
    /** One or several, which are measured together. */
    readonly start: () => Promise<ServiceProcess | readonly ServiceProcess[]>;
  },
): Promise<Sample> {
  const { rows, postgresPid } = options;
  const startedAtMs = Date.now();
  const running = [await options.start()].flat();
  const cpu = () => running.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  try {
    const watches = running.map((one) => watchOver(one));
    const alive = () => {
      for (const watch of watches) watch();
    };
    while (!(await sink.hasNew())) {
      alive();
      await sleep(20);
    }
    const before = { cpu: cpu(), postgres: treeCpuSeconds(postgresPid) };
    const measured = rows - (await sink.count(rows));
    for (let found = 0; found < rows; found = await sink.count(rows)) {
      alive();
      await sleep(lookMs);
    }
    const perRow = (seconds: number) => (seconds / measured) * 1e6;
    const cpuMicros = perRow(cpu() - before.cpu);
    const postgresMicros = perRow(treeCpuSeconds(postgresPid) - before.postgres);
    const peaks = await Promise.all(running.map((one) => one.peakMemory()));
    const peakMiB = peaks.reduce((sum, bytes) => sum + bytes, 0) / 1_048_576;
    await Promise.all(running.map((one) => one.kill('SIGTERM')));
    const found = await sink.count(rows);
    if (found !== rows) throw new Error(`${found} rows, not ${rows}`);
    const { perSecond, firstAtMs } = await sink.rate();
    return { perSecond, cpuMicros, postgresMicros, peakMiB, firstMs: firstAtMs - startedAtMs };
  } finally {
    for (const one of running) if (one.ended === undefined) await one.kill('SIGKILL');
  }
}
