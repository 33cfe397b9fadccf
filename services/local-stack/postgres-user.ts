import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { PipelineError } from '../../shared/errors.ts';
import { capture } from './commands.ts';

/** How Postgres's programs are run: it refuses to run as root. */
export interface PostgresUser {
  /** Goes in front of the program and its arguments. */
  readonly prefix: readonly string[];
  /** The user to become. Its data must belong to it. */
  readonly account?: Account;
}

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Anyone but root: as they are. Root: as an unprivileged account that can reach `program` and `home` (a directory that
 * will hold the data's), else, when a directory above is closed to others, as the same root under another name in a user
 * namespace (`unshare -U`), in which Postgres has no rights over anything but root's own files.
 *
 * @throws PipelineError STACK when root has neither way.
 */
export async function postgresUser(program: string, home: string): Promise<PostgresUser> {
  if (userInfo().uid !== 0) return { prefix: [] };
  const accounts = unprivileged(await readFile('/etc/passwd', 'utf8').catch(() => ''));
  for (const account of accounts) {
    const runs = await capture(program, ['--version'], account);
    const reaches = await capture('test', ['-x', home], account);
    if (runs.code === 0 && reaches.code === 0) return { prefix: [], account };
  }
  for (const { uid, gid } of accounts) {
    const args = ['-U', `--map-user=${uid}`, `--map-group=${gid}`];
    if ((await capture('unshare', [...args, program, '--version'])).code === 0) {
      return { prefix: ['unshare', ...args] };
    }
  }
  throw new PipelineError(
    'STACK',
    `Postgres does not run as root, and no other user can reach ${home}: run this as an ordinary user, ` +
      'in a directory that others may enter, or use containers instead: docker compose up',
  );
}

/**
 * Accounts to run as, best first, from the text of /etc/passwd. initdb looks its user up there, so that a number alone
 * will not do.
 */
export function unprivileged(passwd: string): Account[] {
  const accounts = new Map<string, Account>();
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name && uid && gid && Number(uid) > 0) accounts.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  return ['postgres', 'nobody'].flatMap((name) => accounts.get(name) ?? []);
}
