import { openDatabase, type Database } from '../../db/client.ts';
import { PipelineError } from '../../shared/errors.ts';
import { Progress } from '../../shared/progress.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { openDayPrivateKeys, openKeyKeeper, openPeppers } from '../../shared/vault/open-vault.ts';
import { finishConfig, retokenConfig, rotateConfig, statusConfig } from './config.ts';
import { finishTokens, type Finish } from './finish.ts';
import { retoken, type RetokenReport } from './retoken.ts';
import { rotateTokens, type Purpose, type Rotation } from './rotate.ts';
import { describeStatus, staleDays, tokenStatus } from './status.ts';

interface Output {
  readonly json?: boolean;
}

/** `sluice tokens status`: epochs, and which tokens the live rows have. */
export async function tokensStatus(options: Output): Promise<number> {
  const config = statusConfig(process.env);
  await using database = open(config.OPERATOR_DATABASE_URL);
  const status = await tokenStatus(database, userLogins);
  print(options, status, describeStatus(status));
  return 0;
}

/** `sluice tokens rotate`: a new epoch begins, and a window with it. Exit code 1 while one is open. */
export async function tokensRotate(options: Output & Purpose): Promise<number> {
  const purpose = purposeOf(options);
  const config = rotateConfig(process.env);
  const keeper = await openKeyKeeper(config);
  await using database = open(config.ADMIN_DATABASE_URL);
  const rotation = await rotateTokens({ database, keeper, purpose });
  print(options, rotation, describeRotation(rotation));
  return 'openWindow' in rotation ? 1 : 0;
}

/**
 * `sluice tokens retoken`: rows of epochs before get tokens of the current one. Exit code 1 when some could not be given theirs.
 */
export async function tokensRetoken(options: Output & Purpose): Promise<number> {
  const purpose = purposeOf(options);
  const config = retokenConfig(process.env);
  const keys = await openDayPrivateKeys(config, config.VAULT_RECOVERY_KEY_FILE);
  const peppers = await openPeppers(config);
  await using database = open(config.TOKENS_DATABASE_URL);
  using progress = new Progress(process.stderr, { what: 'rows' });
  const onProgress = (rows: number) => progress.add(rows);
  const report = await retoken({ database, stream: userLogins, keys, peppers, purpose, onProgress });
  progress[Symbol.dispose]();
  print(options, report, describeRetoken(report));
  return report.unopened > 0 || report.daysWithoutKey.length > 0 ? 1 : 0;
}

/** `sluice tokens finish`: the window is closed. Exit code 1 while rows have no token of the current epoch. */
export async function tokensFinish(options: Output & Purpose & { leaveStale?: boolean }): Promise<number> {
  const purpose = purposeOf(options);
  const config = finishConfig(process.env);
  await using database = open(config.ADMIN_DATABASE_URL);
  using progress = new Progress(process.stderr, { what: 'rows cleared' });
  const finish = await finishTokens({
    database,
    stream: userLogins,
    purpose,
    leaveStale: options.leaveStale === true,
    onProgress: (rows) => progress.add(rows),
  });
  progress[Symbol.dispose]();
  print(options, finish, describeFinish(finish));
  return 'stale' in finish ? 1 : 0;
}

/** Counting reads a partition of millions of rows in one statement. */
function open(url: string): Database {
  return openDatabase(url, { applicationName: 'sluice-tokens', max: 1, statementTimeoutMs: 600_000 });
}

function purposeOf({ reason, ticket }: Purpose): Purpose {
  if (reason.trim() === '') throw new PipelineError('USAGE', '--reason is empty: say why');
  if (ticket.trim() === '')
    throw new PipelineError('USAGE', '--ticket is empty: name the request it belongs to');
  return { reason, ticket };
}

function describeRotation(rotation: Rotation): string[] {
  if ('openWindow' in rotation) {
    const { current, prior } = rotation.openWindow;
    return [
      `not rotated: the window from epoch ${prior} to ${current} is open; run "sluice tokens retoken" and "sluice tokens finish" first`,
    ];
  }
  return [
    `token epoch ${rotation.current} began; rows have tokens of epoch ${rotation.prior} besides until "sluice tokens finish"`,
    'next: sluice tokens retoken',
  ];
}

function describeRetoken(report: RetokenReport): string[] {
  const { epoch, retokened, days, unopened, changed, daysWithoutKey } = report;
  return [
    `${retokened} rows of ${days.length} days have tokens of epoch ${epoch} now`,
    ...(changed > 0 ? [`${changed} rows changed meanwhile: run it again`] : []),
    ...(unopened > 0
      ? [`${unopened} rows keep their tokens: a field does not open in its place, it was moved or altered`]
      : []),
    ...daysWithoutKey.map((day) => `${day} keeps its tokens: the vault has no private key of that day`),
  ];
}

function describeFinish(finish: Finish): string[] {
  if ('stale' in finish) {
    return [
      'not finished: rows have no token of the current epoch; run "sluice tokens retoken" first',
      ...staleDays(finish.stale),
    ];
  }
  return [
    finish.retired === undefined ? 'no window is open' : `token epoch ${finish.retired} is retired`,
    `${finish.cleared} rows cleared of tokens of epochs before`,
  ];
}

function print(options: Output, result: object, lines: readonly string[]): void {
  const text =
    options.json === true ? `${JSON.stringify(result)}\n` : lines.map((line) => `${line}\n`).join('');
  process.stdout.write(text);
}
