import { sql } from 'drizzle-orm';
import type { SampleLogin } from '../../services/demo/sample-logins.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { createPipeline, type Pipeline } from '../helpers/pipeline.ts';
import { preloadTopic } from '../helpers/preload.ts';
import { randomName } from '../helpers/topics.ts';
import type { Contender } from './contest.ts';
import { copyOut, measureCopy } from './copy.ts';
import { openRowSample } from './open-sample.ts';
import type { BenchServers } from './servers.ts';
import { measureInto, Sink, type Sample } from './sink.ts';

/** Rows that are opened after each run. */
const lookedAt = 200;

export interface WriterBenchOptions {
  readonly rows: number;
  readonly partitions?: number;
  readonly change?: (login: SampleLogin) => SampleLogin;
  /** Of the writer. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A topic full of logins, which the writer reads from its beginning in each run, as a new group, into empty tables. */
export class WriterBench implements AsyncDisposable {
  readonly pipeline: Pipeline;
  readonly #servers: BenchServers;
  readonly #rows: number;
  readonly #env: Readonly<Record<string, string>>;
  #copied: Buffer[] | undefined;

  private constructor(pipeline: Pipeline, servers: BenchServers, options: WriterBenchOptions) {
    this.pipeline = pipeline;
    this.#servers = servers;
    this.#rows = options.rows;
    this.#env = options.env ?? {};
  }

  static async open(servers: BenchServers, options: WriterBenchOptions): Promise<WriterBench> {
    const { rows, partitions = 8, change } = options;
    const pipeline = await createPipeline(servers, { partitions, env: { LOG_LEVEL: 'warn' } });
    console.error(`putting ${rows} logins on a topic of ${partitions} partitions`);
    await preloadTopic(pipeline, rows, change === undefined ? {} : { change });
    return new WriterBench(pipeline, servers, options);
  }

  /** The table, empty, after a checkpoint. */
  async emptied(table: string, ...others: string[]): Promise<Sink> {
    const { admin } = this.pipeline;
    await admin.execute(sql.raw(`truncate ${['user_logins', 'ledger', ...others].join(', ')}`));
    await admin.execute(sql`checkpoint`);
    await sleep(1_000);
    return await Sink.from(admin, table);
  }

  /** One run, all rows counted, a sample opened. `writers` processes share the partitions. */
  async measure(env: Readonly<Record<string, string>> = {}, writers = 1): Promise<Sample> {
    const sample = await measureInto(await this.emptied('user_logins'), {
      rows: this.#rows,
      postgresPid: this.#servers.pids.postgres,
      start: () => {
        const own = { ...this.#env, ...env, WRITER_GROUP: randomName('writers') };
        return Promise.all(Array.from({ length: writers }, () => this.pipeline.start('writer', own)));
      },
    });
    await openRowSample(this.pipeline, lookedAt);
    return sample;
  }

  /** COPY of the rows of the first run. */
  async measureCopy(): Promise<Sample> {
    const url = this.pipeline.env['ADMIN_DATABASE_URL'] ?? '';
    if (this.#copied === undefined) {
      await this.measure();
      this.#copied = await copyOut(url);
    }
    await this.emptied('user_logins');
    return await measureCopy(url, {
      chunks: this.#copied,
      rows: this.#rows,
      postgresPid: this.#servers.pids.postgres,
    });
  }

  contender(name: string, env: Readonly<Record<string, string>> = {}, writers = 1): Contender {
    return { name, measure: () => this.measure(env, writers) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pipeline[Symbol.asyncDispose]();
  }
}
