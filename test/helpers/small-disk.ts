import { chown, mkdir, mkdtemp, open, rename, rm, rmdir, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openDatabase } from '../../db/client.ts';
import { capture } from '../../services/local-stack/commands.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { FaultDatabase } from '../faults/fault.ts';
import { openOwnPostgres, type OwnPostgres } from './own-postgres.ts';

/** A new cluster, a template and a database or two take 70 MiB. */
const diskMiB = 160;
const chunkBytes = [1_048_576, 4_096];

/** Why no file system can be mounted here; undefined when it can. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  const probe = await mkdtemp(join(tmpdir(), 'sluice-mount-'));
  const { code } = await capture('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe]);
  if (code === 0) await capture('umount', [probe]);
  await rmdir(probe);
  return code === 0 ? undefined : 'a full disk needs a file system of its own, which only root may mount';
}

/**
 * A Postgres whose data, or whose WAL, lies on a disk of its own, which really fills up. Data: statements that need more room fail with
 * SQLSTATE 53100, and the server goes on. WAL: the server panics, and does not come up again before there is room.
 */
export async function openPostgresOnSmallDisk(small: 'data' | 'wal'): Promise<FaultDatabase> {
  await using opening = new AsyncDisposableStack();
  const diskOf = (root: string) => join(root, small === 'data' ? 'postgres' : 'wal');
  const postgres = opening.use(
    await openOwnPostgres({
      // Every segment of the WAL is a new file, so that the lack of room shows at once.
      settings: ['wal_recycle=off', 'min_wal_size=32MB', 'max_wal_size=64MB'],
      prepare: async (root) => {
        const disk = diskOf(root);
        await mkdir(disk, { recursive: true });
        const options = ['-t', 'tmpfs', '-o', `size=${diskMiB}m,mode=700`, 'tmpfs', disk];
        if ((await capture('mount', options)).code !== 0) throw new Error('no disk can be mounted');
      },
    }),
  );
  const disk = diskOf(postgres.root);
  await moveWal(postgres);
  await postgres.start();
  const owned = opening.move();
  const ballast = join(disk, 'ballast');
  return {
    adminUrl: postgres.adminUrl,
    async fail() {
      await fill(ballast);
      if (small === 'wal') await useWal(postgres);
    },
    async heal() {
      await rm(ballast);
      await postgres.start();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Away from the data: whichever is on the small disk, the other is not. */
async function moveWal({ root, data }: OwnPostgres): Promise<void> {
  const wal = join(root, 'wal');
  const inside = join(data, 'pg_wal');
  await mkdir(wal, { recursive: true });
  const { uid, gid } = await stat(data);
  const { code } = await capture('cp', ['-a', `${inside}/.`, wal]);
  if (code !== 0) throw new Error('the WAL cannot be moved');
  await chown(wal, uid, gid);
  await rename(inside, `${inside}.old`);
  await symlink(wal, inside);
}

/** Until not even a page is left. */
async function fill(file: string): Promise<void> {
  await using ballast = await open(file, 'w');
  for (const bytes of chunkBytes) {
    const chunk = Buffer.alloc(bytes);
    for (;;) {
      try {
        await ballast.write(chunk);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') break;
        throw error;
      }
    }
  }
}

/** New segments, until there can be none: the server ends our session. */
async function useWal(postgres: OwnPostgres): Promise<void> {
  await using database = openDatabase(postgres.adminUrl, {
    applicationName: 'use-wal',
    max: 1,
    statementTimeoutMs: 10_000,
  });
  try {
    for (let segment = 0; segment < 1_000; segment += 1) {
      await database.execute(sql`select pg_switch_wal()`);
      await sleep(50);
    }
  } catch {
    return;
  }
  throw new Error('the WAL goes on without room');
}
