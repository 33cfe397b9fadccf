import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openDatabase } from '../../db/client.ts';
import { loopback } from '../../services/local-stack/tcp-ports.ts';
import { openOwnPostgres } from './own-postgres.ts';
import type { FaultDatabase } from '../faults/fault.ts';

const standbyName = 'standby';

/**
 * A primary and a standby that streams from it; a commit is answered once the standby has it, so that nothing that was answered is lost with
 * the primary. It fails by SIGKILL of the primary, for good, and is healed by promoting the standby.
 */
export async function openPostgresPair(): Promise<FaultDatabase> {
  await using opening = new AsyncDisposableStack();
  const primary = opening.use(
    await openOwnPostgres({
      settings: ['synchronous_commit=on', `synchronous_standby_names=${standbyName}`],
    }),
  );
  const standby = opening.use(
    await openOwnPostgres({
      copyOf: primary,
      settings: [
        `primary_conninfo=host=${loopback} port=${primary.port} user=postgres password=${primary.password} application_name=${standbyName}`,
      ],
    }),
  );
  const signal = join(standby.data, 'standby.signal');
  const { uid, gid } = await stat(standby.data);
  await writeFile(signal, '');
  await chown(signal, uid, gid);
  await primary.start();
  await standby.start();
  const owned = opening.move();
  const servers = `${loopback}:${primary.port},${loopback}:${standby.port}`;
  return {
    adminUrl: `${primary.adminUrl.replace(`${loopback}:${primary.port}`, servers)}?target_session_attrs=read-write`,
    fail: () => primary.kill(),
    async heal() {
      await using database = openDatabase(standby.adminUrl, {
        applicationName: 'promote',
        max: 1,
        statementTimeoutMs: 60_000,
      });
      const { rows } = await database.execute<{ promoted: boolean }>(sql`select pg_promote() as promoted`);
      if (rows[0]?.promoted !== true) throw new Error('the standby was not promoted');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
