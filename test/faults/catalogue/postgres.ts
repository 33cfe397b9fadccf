import { sql } from 'drizzle-orm';
import { openPostgresPair } from '../../helpers/postgres-pair.ts';
import { openPostgresOnSmallDisk, whyNoSmallDisk } from '../../helpers/small-disk.ts';
import type { Fault, FaultContext } from '../fault.ts';

const outage = /"what":"(?:[Pp]ostgres|keys)"[^\n]*outage: waiting/;

/** Ends the writer's sessions from the server's side. How many there were. */
async function terminate({ pipeline }: FaultContext): Promise<number> {
  const { rowCount } = await pipeline.admin.execute(
    sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'sluice-writer'`,
  );
  return rowCount;
}

/** In the middle of whatever it does, and each time also when its rows are in and its ledger is not. */
export const backendTerminated: Fault = {
  name: 'backend terminated mid-batch',
  async inject(context) {
    const { pipeline } = context;
    for (let round = 0; round < (context.long ? 20 : 3); round++) {
      let midBatch = 0;
      while (midBatch === 0) {
        const { rowCount } = await pipeline.admin.execute(
          sql`select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and application_name = 'sluice-writer'
                and (state = 'active' or state = 'idle in transaction')`,
        );
        midBatch += rowCount;
      }
      await context.beforeLedger(async () => {
        await terminate(context);
      });
    }
  },
};

export const postgresRestarted: Fault = {
  name: 'Postgres restarted',
  async inject(context) {
    await context.logs(outage, () => context.servers.stop('postgres'));
    await context.sends(context.long ? 4_000 : 400);
    await context.servers.start('postgres');
  },
};

export const postgresKilled: Fault = {
  name: 'kill -9 of Postgres',
  async inject(context) {
    await context.logs(outage, () => context.servers.kill('postgres'));
    await context.sends(context.long ? 4_000 : 400);
    await context.servers.start('postgres');
  },
};

/** Sessions that exist stay as they are: those that the writer made meanwhile are of no use any more, and must go. */
export const postgresReadOnly: Fault = {
  name: 'Postgres read-only',
  async inject(context) {
    const { pipeline } = context;
    const set = (value: string) =>
      pipeline.admin.execute(
        sql.raw(`alter database ${pipeline.database.name} set default_transaction_read_only = ${value}`),
      );
    await set('on');
    await context.logs(outage, () => terminate(context));
    await context.sends(context.long ? 2_000 : 200);
    // Our own session is of before.
    await set('off');
  },
};

export const connectionsExhausted: Fault = {
  name: 'connections exhausted',
  async inject(context) {
    const { pipeline } = context;
    const limit = (connections: number) =>
      pipeline.admin.execute(
        sql.raw(`alter database ${pipeline.database.name} connection limit ${connections}`),
      );
    await limit(0);
    await context.logs(outage, () => terminate(context));
    await context.sends(context.long ? 2_000 : 200);
    await limit(-1);
  },
};

/** Every insert takes its time: the writer slows down, and neither leaves the group nor gives up. */
export const statementsSlow: Fault = {
  name: 'slow statements',
  async inject(context) {
    await context.slowLedger(context.long ? 10 : 2);
    await context.flows(400);
    await context.slowLedger(0);
  },
};

/** A table lock, as a careless "alter table" takes it. */
export const lockHeld: Fault = {
  name: 'lock held on the table',
  async inject(context) {
    await context.pipeline.admin.transaction(async (session) => {
      await session.execute(sql`lock table user_logins in access exclusive mode`);
      await context.sends(context.long ? 10_000 : 1_000);
    });
  },
};

/** It fails, messages come meanwhile, it is healed: what the services have of it is a database URL that stays as it is. */
async function failed(context: FaultContext): Promise<void> {
  await context.logs(outage, () => context.database.fail());
  await context.sends(context.long ? 4_000 : 400);
  await context.database.heal();
}

/** The primary is killed; somebody promotes the standby a moment later. The database URL names both. */
export const failover: Fault = {
  name: 'failover to a promoted standby',
  database: openPostgresPair,
  inject: failed,
};

export const diskFull: Fault = {
  name: 'disk full',
  database: () => openPostgresOnSmallDisk('data'),
  impossible: whyNoSmallDisk,
  inject: failed,
};

export const walDiskFull: Fault = {
  name: 'disk full under the WAL: Postgres panics',
  database: () => openPostgresOnSmallDisk('wal'),
  impossible: whyNoSmallDisk,
  inject: failed,
};
