import { fstatSync } from 'node:fs';
import { openDatabase, type Database } from '../../db/client.ts';
import { listRecoveryRequests, type RecoveryRequest } from '../../db/queries/list-recovery-requests.ts';
import { PipelineError } from '../../shared/errors.ts';
import { writeText } from '../../shared/output.ts';
import { printable, printableJson } from '../../shared/printable.ts';
import { Progress } from '../../shared/progress.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { openDayPrivateKeys } from '../../shared/vault/open-vault.ts';
import { approveRequest, requestApproval, useApproval } from './approval.ts';
import { approveConfig, askConfig, listDatabaseUrl, openConfig } from './config.ts';
import { EncryptedFile } from './encrypted-file.ts';
import { eventJson, eventLines, eventText, headText, isWhole, reportJson, reportText } from './output.ts';
import { EventNotFound, recoverEvent, type Door } from './recover.ts';
import { recoverRange, type RangeReport } from './recover-range.ts';
import {
  parsePurpose,
  parseSelection,
  subjectOf,
  type EventSelection,
  type Purpose,
  type RangeSelection,
  type SelectionOptions,
} from './selection.ts';

export interface RecoverOptions extends SelectionOptions {
  readonly reason?: string;
  readonly ticket?: string;
  readonly limit?: number;
  readonly output?: string;
  readonly encryptFor?: readonly string[];
  readonly requireApproval?: boolean;
  readonly request?: string;
  readonly json?: boolean;
}

/**
 * `sluice recover`. Exit code 1 when no such event is stored, and when part of a range could not be opened.
 * @throws PipelineError
 */
export async function recover(options: RecoverOptions): Promise<number> {
  const selection = parseSelection(options);
  const purpose = parsePurpose(options);
  const request = options.request === undefined ? undefined : requestId(options.request);
  checkOutput(options, selection);
  const ask = askConfig(process.env);
  const guarded = options.requireApproval === true || ask.RECOVERY_REQUIRE_APPROVAL === 'on';
  const subject = subjectOf(selection);
  if (guarded && request === undefined) {
    await using database = openAs(ask.RECOVERY_DATABASE_URL);
    const id = await requestApproval(database, subject, purpose);
    if (options.json === true)
      await writeText(process.stdout, `${printableJson({ request: id, subject })}\n`);
    throw new PipelineError('APPROVAL_MISSING', `request ${id} waits for approval; then: --request ${id}`);
  }
  const config = openConfig(process.env);
  const keys = await openDayPrivateKeys(config, config.VAULT_RECOVERY_KEY_FILE);
  await using database = openAs(config.RECOVERY_DATABASE_URL);
  const door = { connection: database, keys, stream: userLogins };
  if ('eventId' in selection) {
    if (request !== undefined) await useApproval(database, request, subject, purpose);
    return await openOne(door, selection, purpose, options.json === true);
  }
  await using file = await createFile(options);
  if (request !== undefined) await useApproval(database, request, subject, purpose);
  const report = await openRange(door, selection, purpose, { options, file });
  if (file !== undefined) {
    await file.write(reportJson(report));
    await file.finish();
  }
  await writeText(process.stdout, options.json === true ? reportJson(report) : reportText(report));
  return isWhole(report) ? 0 : 1;
}

/** `sluice recover approve ID`. @throws PipelineError APPROVAL_MISSING saying why it cannot be approved */
export async function approve(id: string, options: { json?: boolean }): Promise<number> {
  const checked = requestId(id);
  await using database = openAs(approveConfig(process.env).APPROVAL_DATABASE_URL);
  const request = await approveRequest(database, checked);
  await writeText(
    process.stdout,
    options.json === true ? `${printableJson(request)}\n` : `approved: ${requestLine(request)}\n`,
  );
  return 0;
}

/** `sluice recover requests`: the newest hundred. */
export async function requests(options: { json?: boolean }): Promise<number> {
  await using database = openAs(listDatabaseUrl(process.env));
  const { rows } = await database.execute(listRecoveryRequests({ limit: 100 }));
  const lines = rows.map((row) => (options.json === true ? printableJson(row) : requestLine(row)));
  if (lines.length === 0 && options.json !== true) lines.push('no requests');
  await writeText(process.stdout, lines.map((line) => `${line}\n`).join(''));
  return 0;
}

async function openOne<M>(
  door: Door<M>,
  selection: EventSelection,
  purpose: Purpose,
  json: boolean,
): Promise<number> {
  try {
    const { event, head } = await recoverEvent(door, selection, purpose);
    const text = json
      ? `${printableJson({ ...event, head: headText(head) })}\n`
      : eventText(event, headText(head));
    await writeText(process.stdout, text);
    return 0;
  } catch (error) {
    if (!(error instanceof EventNotFound)) throw error;
    const archived = error.archivedDays > 0 ? `, ${error.archivedDays} days lie in the archive` : '';
    await writeText(
      process.stderr,
      `sluice: no such event is stored (the attempt is in the access log${archived})\n`,
    );
    return 1;
  }
}

async function openRange<M>(
  door: Door<M>,
  selection: RangeSelection,
  purpose: Purpose,
  output: { options: RecoverOptions; file: EncryptedFile | undefined },
): Promise<RangeReport> {
  const { options, file } = output;
  // Where the events themselves run over the terminal, a bar would run through them.
  const shows = process.stderr.isTTY && (file !== undefined || !process.stdout.isTTY);
  await using shown = new AsyncDisposableStack();
  let progress: Progress | undefined;
  return await recoverRange(door, selection, purpose, {
    limit: options.limit,
    ...(shows
      ? {
          onTotal: (total) => {
            progress = shown.use(new Progress(process.stderr, { what: 'events', total }));
          },
        }
      : {}),
    deliver: async (events) => {
      if (file !== undefined) await file.write(eventJson(events));
      else await writeText(process.stdout, options.json === true ? eventJson(events) : eventLines(events));
      progress?.add(events.length);
    },
  });
}

/** Plaintext goes to a terminal or a pipe; into a file only encrypted. @throws PipelineError USAGE */
function checkOutput(options: RecoverOptions, selection: EventSelection | RangeSelection): void {
  const encrypted = (options.encryptFor ?? []).length > 0;
  if (encrypted !== (options.output !== undefined)) {
    throw new PipelineError('USAGE', '--output and --encrypt-for go together: no file holds plain text');
  }
  if ('eventId' in selection && (encrypted || options.limit !== undefined)) {
    throw new PipelineError('USAGE', '--output and --limit go with --user-id or --token');
  }
  if (!encrypted && fstatSync(1).isFile()) {
    throw new PipelineError('USAGE', 'no file holds plain text: use --output FILE --encrypt-for age1…');
  }
}

async function createFile(options: RecoverOptions): Promise<EncryptedFile | undefined> {
  return options.output === undefined
    ? undefined
    : EncryptedFile.create(options.output, options.encryptFor ?? []);
}

/** A range reads partitions whole: give it time. */
function openAs(url: string): Database {
  return openDatabase(url, { applicationName: 'sluice-recover', max: 1, statementTimeoutMs: 600_000 });
}

function requestId(text: string): string {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new PipelineError('USAGE', 'a request is named by its number');
  return text;
}

function requestLine(request: RecoveryRequest): string {
  const { id, state, requested_by, requested_at, ticket, subject, reason } = request;
  return [
    id.padStart(4),
    state.padEnd(8),
    requested_at,
    requested_by,
    ...[ticket, subject, reason].map((text) => printable(text)),
  ].join('  ');
}
