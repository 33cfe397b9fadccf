import { openDatabase, type Session } from '../../db/client.ts';
import type { Role } from '../../db/logins.ts';
import { appliedMigrations, pendingMigrations, readMigrations } from '../../db/migrate.ts';
import { checkPrivileges, type Right } from '../../db/queries/check-privileges.ts';
import { custodyHorizon } from '../../db/queries/custody-horizon.ts';
import { describeSession } from '../../db/queries/describe-session.ts';
import type { Env } from '../../shared/config.ts';
import { parsePostgresUrl } from '../../shared/postgres-url.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { dayOf, horizon } from '../../shared/time.ts';
import { judgeClock } from './clock.ts';
import { Findings, type Finding } from './finding.ts';

const table = userLogins.name;
/** What nothing here was run against is not warned of lightly: partitions are detached concurrently, and TIDs scanned by ranges, from 14 on. */
const oldestVersion = 140_000;

interface Login {
  readonly variable: string;
  /** Undefined: the owner of the tables. */
  readonly role: Role | undefined;
  /** A few that it cannot work without. All of them are tested with the migrations. */
  readonly needs: readonly Right[];
  /** Sealed cells are for those alone who open them. */
  readonly sealed?: boolean;
}

const right = (on: string, privilege: Right['privilege'], column?: string): Right =>
  column === undefined ? { table: on, privilege } : { table: on, privilege, column };

const logins: readonly Login[] = [
  {
    variable: 'ADMIN_DATABASE_URL',
    role: undefined,
    needs: [right(table, 'delete'), right('schema_migrations', 'insert')],
    sealed: true,
  },
  {
    variable: 'DATABASE_URL',
    role: 'sluice_writer',
    needs: [
      right(table, 'insert'),
      right('ledger', 'insert'),
      right('data_keys', 'insert'),
      right('day_keys', 'select', 'public_key'),
    ],
  },
  {
    variable: 'OPERATOR_DATABASE_URL',
    role: 'sluice_operator',
    needs: [right('ledger', 'select'), right('access_log', 'select')],
  },
  {
    variable: 'MONITOR_DATABASE_URL',
    role: 'sluice_monitor',
    needs: [right('ledger', 'select'), right(table, 'select', 'ingested_at')],
  },
  {
    variable: 'RECOVERY_DATABASE_URL',
    role: 'sluice_recoverer',
    needs: [right(table, 'select'), right('access_log', 'insert')],
    sealed: true,
  },
  {
    variable: 'APPROVAL_DATABASE_URL',
    role: 'sluice_approver',
    needs: [right('recovery_requests', 'select')],
  },
  {
    variable: 'SHRED_DATABASE_URL',
    role: 'sluice_shredder',
    needs: [right(table, 'update', 'ip_sealed'), right('shreds', 'insert', 'scope')],
  },
  {
    variable: 'TOKENS_DATABASE_URL',
    role: 'sluice_tokenizer',
    needs: [right(table, 'update', 'masked_ip')],
    sealed: true,
  },
  {
    variable: 'REPLAY_DATABASE_URL',
    role: 'sluice_replayer',
    needs: [right(table, 'insert'), right(table, 'select', 'create_date'), right('replay_ledger', 'insert')],
  },
];

/** Every login that is set: whether it gets in, as whom, with which rights; the server once, and the horizon. */
export async function checkPostgres(env: Env): Promise<Finding[]> {
  const findings = new Findings('postgres');
  const seen = { server: false, horizon: false };
  for (const login of logins) {
    const url = env[login.variable] ?? '';
    if (url === '') {
      findings.skipped(`${login.variable} is not set here`);
      continue;
    }
    if ('problem' in parsePostgresUrl(url)) continue;
    await findings.during(`${login.variable} does not get in`, async () => {
      await using database = openDatabase(url, {
        applicationName: 'sluice-doctor',
        max: 1,
        statementTimeoutMs: 10_000,
      });
      await checkLogin(findings, database, login, seen);
    });
  }
  return findings.list;
}

async function checkLogin(
  findings: Findings,
  session: Session,
  login: Login,
  seen: { server: boolean; horizon: boolean },
): Promise<void> {
  const beforeMs = Date.now();
  const [facts] = (await session.execute(describeSession())).rows;
  const afterMs = Date.now();
  if (facts === undefined) return;
  if (!seen.server) {
    seen.server = true;
    judgeServer(findings, facts);
    judgeClock(findings, 'Postgres', { serverMs: facts.at_ms, beforeMs, afterMs, precisionMs: 1 });
  }
  const { variable, role, needs, sealed } = login;
  if (role !== undefined && facts.superuser) {
    findings.fail(
      `${variable} logs in as the superuser ${facts.role}`,
      `Use a login of ${role}: this one may do anything.`,
    );
    return;
  }
  const rights = [...needs, ...(sealed === true ? [] : [right(table, 'select', 'ip_sealed')])];
  const { rows } = await session.execute(checkPrivileges(rights));
  const held = rows.map((row) => row.held);
  const lacks = needs
    .filter((_, i) => held[i] !== true)
    .map(({ privilege, table: on }) => `${privilege} on ${on}`);
  if (held.includes(null)) {
    findings.fail(
      `${variable}: tables are missing`,
      'Run "sluice migrate", and see that the URL names its database.',
    );
  } else if (lacks.length > 0) {
    findings.fail(
      `${variable} (${facts.role}) lacks ${lacks.join(', ')}`,
      `Use a login of ${role ?? 'the owner'}, or run "sluice migrate".`,
    );
  } else if (sealed !== true && held.at(-1) === true) {
    findings.fail(
      `${variable} (${facts.role}) may read sealed fields`,
      `Use a login of ${role ?? 'its own'}: this one may do more than it needs.`,
    );
  } else {
    findings.ok(`${variable}: ${facts.role}, with the rights it needs`);
  }
  if (role === undefined) await checkMigrations(findings, session);
  if (
    !seen.horizon &&
    (role === undefined || role === 'sluice_operator' || role === 'sluice_monitor') &&
    !held.includes(null)
  ) {
    seen.horizon = true;
    await checkHorizon(findings, session);
  }
}

function judgeServer(
  findings: Findings,
  facts: {
    version: number;
    standby: boolean;
    verbosity: string;
    synchronous_commit: string;
    free_connections: number;
  },
): void {
  const version = `${Math.floor(facts.version / 10_000)}.${facts.version % 10_000}`;
  if (facts.version < oldestVersion)
    findings.fail(`Postgres ${version}`, 'Use 14 or newer; tests run on 18.');
  else findings.ok(`Postgres ${version} answers`);
  if (facts.standby) {
    findings.fail('that server is a standby', 'Name all servers and say target_session_attrs=read-write.');
  }
  if (facts.verbosity !== 'terse') {
    findings.warn(
      `log_error_verbosity is ${facts.verbosity}: rejected rows come into the log of Postgres`,
      'Set log_error_verbosity = terse.',
    );
  }
  if (facts.synchronous_commit === 'off') {
    findings.fail(
      'synchronous_commit is off: rows that are acknowledged may be lost in a crash, and their offsets are committed',
      'Set synchronous_commit = on.',
    );
  }
  if (facts.free_connections < 10) {
    findings.warn(
      `${facts.free_connections} connections are free`,
      'A writer takes three: raise max_connections, or pool.',
    );
  }
}

async function checkMigrations(findings: Findings, session: Session): Promise<void> {
  await findings.during('migrations', async () => {
    const pending = pendingMigrations(await readMigrations(), await appliedMigrations(session));
    if (pending.length === 0) findings.ok('every migration of this version has run');
    else
      findings.fail(
        `${pending.length} migrations have not run, from ${pending[0]?.name} on`,
        'Run "sluice migrate".',
      );
  });
}

async function checkHorizon(findings: Findings, session: Session): Promise<void> {
  const [found] = (await session.execute(custodyHorizon(table, dayOf(Date.now())))).rows;
  if (found === undefined) return;
  const { partition_days, key_days, unfinished_shreds, wal_failures, last_wal } = found;
  const what = `partitions reach ${partition_days} days ahead, keys ${key_days}`;
  const todo = 'Run "sluice maintain", daily or with --every 1h.';
  const least = Math.min(partition_days, key_days);
  if (least >= horizon.daysAhead - 1) findings.ok(what);
  else if (least >= 3) findings.warn(what, todo);
  else findings.fail(what, todo);
  if (unfinished_shreds > 0) {
    findings.fail(
      `${unfinished_shreds} orders to shred are not finished`,
      'Run "sluice shred" again, as the shredder.',
    );
  }
  if (last_wal === null && wal_failures === null) {
    findings.warn(
      'archive_mode is off: there are no backups up to the minute',
      'See "Backups" of your Postgres: archive_mode, archive_command.',
    );
  } else if ((wal_failures ?? 0) > 0) {
    findings.warn(
      `Postgres has failed ${wal_failures} times to archive its log`,
      'Look at pg_stat_archiver and archive_command.',
    );
  }
}
