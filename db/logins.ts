import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { PipelineError } from '../shared/errors.ts';
import { editPostgresUrl, parsePostgresUrl } from '../shared/postgres-url.ts';
import { openDatabase } from './client.ts';
import { lockKeys, withLock } from './locks.ts';

export const roles = [
  'sluice_writer',
  'sluice_recoverer',
  'sluice_operator',
  'sluice_analyst',
  'sluice_shredder',
  'sluice_tokenizer',
  'sluice_approver',
  'sluice_monitor',
  'sluice_replayer',
] as const;
export type Role = (typeof roles)[number];

/**
 * Lets each role log in with its password, making roles that are missing. Any number of times, by several at once. The server
 * is given SCRAM verifiers, so that no password reaches its log.
 *
 * @throws PipelineError DATABASE_UNAVAILABLE, DATABASE_FORBIDDEN (`adminUrl` may not create roles)
 */
export async function ensureLogins(
  adminUrl: string,
  passwords: Readonly<Record<Role, string>>,
): Promise<void> {
  await using database = openDatabase(adminUrl, {
    applicationName: 'sluice-logins',
    max: 1,
    statementTimeoutMs: 30_000,
  });
  await database.withSession((session) =>
    withLock(session, lockKeys.logins, async () => {
      for (const role of roles) {
        const known = await session.execute(sql`select 1 from pg_roles where rolname = ${role}`);
        const verb = known.rowCount === 0 ? 'create' : 'alter';
        const verifier = scramVerifier(passwords[role]);
        await session.execute(sql.raw(`${verb} role ${role} login password '${verifier}'`));
      }
    }),
  );
}

/** `adminUrl` with the role's name and password in place of the administrator's. */
export function roleUrl(adminUrl: string, role: Role, password: string): string {
  const parsed = parsePostgresUrl(adminUrl);
  if ('problem' in parsed) throw new PipelineError('CONFIG_INVALID', `the database URL ${parsed.problem}`);
  return editPostgresUrl(adminUrl, (url) => {
    url.username = role;
    url.password = encodeURIComponent(password);
  });
}

const iterations = 4096;

/**
 * What Postgres stores of a password (RFC 5803): `SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>`. Passwords are taken as
 * they are, without SASLprep: keep them ASCII.
 */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
