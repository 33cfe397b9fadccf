import { sql } from 'drizzle-orm';
import type { Session } from './client.ts';

/** Advisory locks of this database: arbitrary numbers, one namespace. The access log's trigger uses 5110009. */
export const lockKeys = { migrate: 5110001, maintain: 5110002, logins: 5110003 } as const;

/**
 * Runs `work` while this session holds the advisory lock, waiting for it up to the session's statement timeout. A session that
 * breaks loses the lock, and so does one whose unlock fails: `withSession` closes it.
 *
 * @throws PipelineError DATABASE_UNAVAILABLE when somebody else holds it for too long.
 */
export async function withLock<T>(
  session: Session,
  key: (typeof lockKeys)[keyof typeof lockKeys],
  work: () => Promise<T>,
): Promise<T> {
  await session.execute(sql`select pg_advisory_lock(${key}::bigint)`);
  try {
    return await work();
  } finally {
    await session.execute(sql`select pg_advisory_unlock(${key}::bigint)`);
  }
}
