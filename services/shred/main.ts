import { openDatabase } from '../../db/client.ts';
import type { ShredTarget } from '../../db/queries/insert-shred.ts';
import { openArchivePlace } from '../../shared/archive/open-place.ts';
import { PipelineError } from '../../shared/errors.ts';
import { writeText } from '../../shared/output.ts';
import { printableJson } from '../../shared/printable.ts';
import { Progress } from '../../shared/progress.ts';
import { userLogins, type UserLogin } from '../../shared/streams/user-logins.ts';
import { parseDay } from '../../shared/time.ts';
import { openKeyDestroyer, openKeyInventory } from '../../shared/vault/open-vault.ts';
import { shredConfig } from './config.ts';
import { preview } from './dry-run.ts';
import type { Purpose } from './order.ts';
import type { Refused, ShredParts } from './parts.ts';
import { describePreview, describeShredded, type Shredded } from './report.ts';
import { shredDay } from './shred-day.ts';
import { shredEpoch } from './shred-epoch.ts';
import { shredUser } from './shred-user.ts';

export interface ShredOptions {
  readonly day?: string;
  readonly userId?: string;
  readonly tokenEpoch?: string;
  readonly reason: string;
  readonly ticket: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Partitions of millions of rows are read in one statement, and an archive run is waited for. */
const statementTimeoutMs = 1_800_000;

/** `sluice shred`. Exit code 1 when nothing was destroyed, or not all of it: it says why. @throws PipelineError */
export async function shred(options: ShredOptions): Promise<number> {
  const target = targetOf(options);
  const purpose = purposeOf(options);
  const config = shredConfig(process.env);
  const place =
    config.ARCHIVE_URL === undefined
      ? undefined
      : await openArchivePlace({ ARCHIVE_URL: config.ARCHIVE_URL });
  const destroyer = await openKeyDestroyer(config);
  const inventory = await openKeyInventory(config);
  await using database = openDatabase(config.SHRED_DATABASE_URL, {
    applicationName: 'sluice-shred',
    max: 1,
    statementTimeoutMs,
  });
  using shown = new DisposableStack();
  let progress: Progress | undefined;
  const parts: ShredParts<UserLogin> = {
    database,
    stream: userLogins,
    destroyer,
    inventory,
    place,
    retention: config,
    clock: Date.now,
    onProgress: (done, total) => {
      progress ??= shown.use(
        new Progress(process.stderr, { what: target.scope === 'user' ? 'days' : 'rows', total }),
      );
      progress.add(done);
    },
  };
  if (options.dryRun === true) {
    const found = await preview(parts, target);
    await print(options, found, describePreview(found));
    return 0;
  }
  const outcome = await carryOut(parts, target, purpose);
  shown.dispose();
  if ('refused' in outcome) {
    if (options.json === true) await print(options, outcome, []);
    else await writeText(process.stderr, `sluice: ${outcome.refused}\n`);
    return 1;
  }
  await print(options, outcome, describeShredded(outcome));
  return 0;
}

function carryOut<M>(
  parts: ShredParts<M>,
  target: ShredTarget,
  purpose: Purpose,
): Promise<Shredded | Refused> {
  if (target.scope === 'day') return shredDay(parts, target.day, purpose);
  if (target.scope === 'user') return shredUser(parts, target.userId, purpose);
  return shredEpoch(parts, target.epoch, purpose);
}

/** @throws PipelineError USAGE unless it is one thing, and written as it should be */
function targetOf({ day, userId, tokenEpoch }: ShredOptions): ShredTarget {
  if ([day, userId, tokenEpoch].filter((one) => one !== undefined).length !== 1) {
    throw new PipelineError('USAGE', 'give one of --day, --user-id and --token-epoch');
  }
  if (userId !== undefined) return { scope: 'user', userId };
  if (tokenEpoch !== undefined) {
    if (!/^[1-9]\d{0,8}$/.test(tokenEpoch)) throw new PipelineError('USAGE', '--token-epoch is not a number');
    return { scope: 'token_epoch', epoch: Number(tokenEpoch) };
  }
  const parsed = parseDay(day ?? '');
  if (parsed === undefined) throw new PipelineError('USAGE', '--day is not a date YYYY-MM-DD');
  return { scope: 'day', day: parsed };
}

function purposeOf({ reason, ticket }: ShredOptions): Purpose {
  if (reason.trim() === '') throw new PipelineError('USAGE', '--reason is empty: say why');
  if (ticket.trim() === '')
    throw new PipelineError('USAGE', '--ticket is empty: name the request it belongs to');
  return { reason, ticket };
}

function print(options: ShredOptions, result: object, lines: readonly string[]): Promise<void> {
  return writeText(
    process.stdout,
    options.json === true ? `${printableJson(result)}\n` : lines.map((line) => `${line}\n`).join(''),
  );
}
