import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sleep } from '../../shared/lifecycle.ts';

/**
 * Does `work` while no other process, nor another caller in this one, holds `file`. `onWait` is called once if that means
 * waiting. The lock is SQLite's on an empty database, that is the kernel's: **a holder that dies, by whatever signal, has
 * let go of it.**
 */
export async function withFileLock<T>(file: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    for (let attempt = 0; !take(database); attempt += 1) {
      if (attempt === 0) onWait();
      await sleep(100);
    }
    return await work();
  } finally {
    database.close();
  }
}

function take(database: DatabaseSync): boolean {
  try {
    database.exec('begin exclusive');
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

/** SQLITE_BUSY (5), https://sqlite.org/rescode.html#busy, with its extended codes. */
function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    (error.errcode & 0xff) === 5
  );
}
