import type { Day } from '../../shared/time.ts';
import type { PinnedConnection } from '../client.ts';
import { attachPartition } from '../queries/attach-partition.ts';
import { dropCheck, listOwnChecks } from '../queries/day-check.ts';
import { eraseUsers } from '../queries/erase-users.ts';
import { listErasures } from '../queries/list-erasures.ts';
import { setTimeouts } from '../queries/set-timeouts.ts';
import { lockTimeoutMs, retryLocked } from '../retry-locked.ts';
import type { ArchiveParts } from './parts.ts';

/**
 * Makes a day's own table a partition again. **Users who were forgotten while it was away are forgotten in it before anybody can see
 * them.** Resolves with the number of rows that were erased so.
 *
 * @throws PipelineError of the database
 */
export async function attachDay<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  partition: string,
  day: Day,
): Promise<number> {
  const erased = await erase(parts, connection, partition, day);
  await attach(connection, parts.stream.name, partition, day);
  return erased;
}

/** Drops what had told Postgres that the table has rows of its day only: its bounds say so now. @throws PipelineError */
export async function dropOwnChecks(connection: PinnedConnection, partition: string): Promise<void> {
  const { rows } = await connection.execute(listOwnChecks(partition));
  for (const { name } of rows) await connection.execute(dropCheck(partition, name));
}

async function erase<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  partition: string,
  day: Day,
): Promise<number> {
  const { rows } = await connection.execute(listErasures());
  if (rows.length === 0) return 0;
  const { rowCount } = await connection.execute(
    eraseUsers(
      parts.stream,
      day,
      rows.map(({ id }) => id),
      partition,
    ),
  );
  return rowCount;
}

function attach(connection: PinnedConnection, table: string, partition: string, day: Day): Promise<void> {
  return retryLocked(async () => {
    try {
      await connection.execute(setTimeouts({ lockMs: lockTimeoutMs, statementMs: 60_000 }));
      await connection.execute(attachPartition(table, partition, day));
    } finally {
      await connection.execute(setTimeouts(undefined)).catch(() => {});
    }
  });
}
