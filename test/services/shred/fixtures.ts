import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import type { Database, PinnedConnection, Session } from '../../../db/client.ts';
import { archiveOneDay } from '../../../db/archive/archive-days.ts';
import type { ArchiveParts } from '../../../db/archive/parts.ts';
import type { ShredParts } from '../../../services/shred/parts.ts';
import { filePlace } from '../../../shared/archive/file-place.ts';
import type { ArchivePlace } from '../../../shared/archive/place.ts';
import { userLogins, type UserLogin } from '../../../shared/streams/user-logins.ts';
import type { Day } from '../../../shared/time.ts';
import type { KeyDestroyer } from '../../../shared/vault/ports.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { maintainAround, storeLogins, type Login, type StoredLogin } from '../recover/fixtures.ts';

/** Where the tests' clock stands. */
export const today = '2026-11-24';
export const retention = { RAW_TOPIC_RETENTION_DAYS: 21, DEAD_LETTER_TOPIC_RETENTION_DAYS: 90 };
export const purpose = { reason: 'the customer has left', ticket: 'PRIV-12' };

/** A database, a vault and an archive of their own, with the days around {@link today}. */
export class Custody implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly admin: Database;
  readonly shredder: Database;
  readonly vault = new FakeVault();
  readonly place: ArchivePlace;
  readonly directory: string;
  today: Day = today;

  /** `around`: orders carry the database's time, so what depends on it needs days around the real one. */
  static async create(postgresAdminUrl: string, around: Day = today): Promise<Custody> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-shred-'));
    const custody = new Custody(await createDatabase(postgresAdminUrl), directory);
    custody.today = around;
    await maintainAround(custody.admin, custody.vault, around);
    return custody;
  }

  private constructor(database: TestDatabase, directory: string) {
    this.database = database;
    this.directory = directory;
    this.admin = database.open('admin');
    this.shredder = database.open('shredder', { max: 1 });
    this.place = filePlace(join(directory, 'archive'));
  }

  readonly clock = () => Date.parse(`${this.today}T12:00:00Z`);

  parts(more: Partial<ShredParts<UserLogin>> = {}): ShredParts<UserLogin> {
    return {
      database: this.shredder,
      stream: userLogins,
      destroyer: this.vault,
      inventory: this.vault,
      place: this.place,
      retention,
      clock: this.clock,
      ...more,
    };
  }

  /** Stores logins as a writer would have, with an entry in the past of order times. */
  store(logins: readonly Login[]): Promise<StoredLogin[]> {
    return storeLogins(this.admin, this.vault, logins);
  }

  /** As the archivist. */
  archivist(): ArchiveParts<UserLogin> {
    return { database: this.admin, stream: userLogins, place: this.place, mover: this.vault };
  }

  async archive(day: Day): Promise<void> {
    await archiveOneDay(this.archivist(), day);
  }

  async tokens(day: Day): Promise<{ rows: number; tokens: number; sealed: number }> {
    const { rows } = await this.admin.execute<{ rows: number; tokens: number; sealed: number }>(sql`
      select count(*)::integer as rows,
        count(*) filter (where num_nonnulls(masked_ip, masked_device_id, masked_ip_prior, masked_device_id_prior) > 0)::integer as tokens,
        count(*) filter (where num_nonnulls(ip_sealed, device_id_sealed) > 0)::integer as sealed
      from user_logins where create_date = ${day}`);
    const [row] = rows;
    if (row === undefined) throw new Error('no count');
    return row;
  }

  async accessLog(): Promise<{ action: string; subject: string; reason: string; ticket: string }[]> {
    const { rows } = await this.admin.execute<{
      action: string;
      subject: string;
      reason: string;
      ticket: string;
    }>(sql`select action, subject, reason, ticket from access_log order by id`);
    return rows;
  }

  async privateKeys(day: Day): Promise<number> {
    return (await this.vault.dayKeys()).filter((key) => key.day === day).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export class Crash extends Error {}

/**
 * Counts every call that shredding makes of database, vault and archive, and ends the process, as it were, before or after the n-th took
 * effect: from then on nothing answers.
 */
export class CrashPoint {
  #calls = 0;
  #dead = false;
  readonly #at: number;
  readonly #when: 'before' | 'after';

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at;
    this.#when = when;
  }

  get calls(): number {
    return this.#calls;
  }

  async call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Crash();
    const here = this.#calls++ === this.#at;
    if (here) this.#dead = true;
    if (here && this.#when === 'before') throw new Crash();
    const result = await work();
    if (here) throw new Crash();
    return result;
  }

  wrap(parts: ShredParts<UserLogin>): ShredParts<UserLogin> {
    const { place } = parts;
    return {
      ...parts,
      database: {
        // A process that dies takes its session with it, and with the session its lock and its open transaction.
        withSession: (work) => parts.database.withSession((connection) => work(this.#connection(connection))),
      },
      destroyer: this.#destroyer(parts.destroyer),
      ...(place === undefined ? {} : { place: this.#place(place) }),
    };
  }

  #destroyer(destroyer: KeyDestroyer): KeyDestroyer {
    return {
      destroyDayKeys: (day) => this.call(() => destroyer.destroyDayKeys(day)),
      destroyTransitKey: (day) => this.call(() => destroyer.destroyTransitKey(day)),
      destroyPepper: (epoch) => this.call(() => destroyer.destroyPepper(epoch)),
    };
  }

  #place(place: ArchivePlace): ArchivePlace {
    return {
      url: place.url,
      put: (name, content) => this.call(() => place.put(name, content)),
      get: (name) => this.call(() => place.get(name)),
      list: (prefix) => this.call(() => place.list(prefix)),
      remove: (name) => this.call(() => place.remove(name)),
    };
  }

  #connection(connection: PinnedConnection): PinnedConnection {
    const session = (inner: Session): Session => ({
      execute: (statement) => {
        // The lock goes with the session: in a test the session lives on, so it is given back.
        return this.#dead ? inner.execute(statement) : this.call(() => inner.execute(statement));
      },
    });
    return {
      ...connection,
      ...session(connection),
      transaction: (work) => connection.transaction((inner) => work(session(inner))),
    };
  }
}
