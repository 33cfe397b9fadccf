import { openDatabase, type Database } from '../../db/client.ts';
import { findAccessHead } from '../../db/queries/find-access-head.ts';
import { listAccess, type AccessFilter, type ListedAccess } from '../../db/queries/list-access.ts';
import { openArchivePlace } from '../../shared/archive/open-place.ts';
import { emptyHead, formatHead, parseHead, type Head } from '../../shared/audit/chain.ts';
import { exportedHeads, type ExportedHeads } from '../../shared/audit/heads.ts';
import { exitCodeFor, PipelineError } from '../../shared/errors.ts';
import { writeText } from '../../shared/output.ts';
import { printable, printableJson } from '../../shared/printable.ts';
import { Progress } from '../../shared/progress.ts';
import { parseDay } from '../../shared/time.ts';
import { auditConfig } from './config.ts';
import { verifyChain, type ChainReport } from './verify.ts';

/** Heads that were looked for in the archive, or why they could not be; undefined when nobody looked. */
type Exported = ExportedHeads | { readonly unreachable: PipelineError } | undefined;

/**
 * `sluice audit verify`. Exit code 1 when an entry does not hold or an exported head cannot be read, 3 when all entries hold but the
 * exported heads cannot be reached.
 */
export async function auditVerify(options: {
  head?: readonly string[];
  heads?: boolean;
  json?: boolean;
}): Promise<number> {
  const given = (options.head ?? []).map((text) => {
    const head = parseHead(text);
    if (head === undefined)
      throw new PipelineError('USAGE', '--head takes ID:HASH as "sluice audit head" prints');
    return head;
  });
  const config = auditConfig(process.env);
  const exported = options.heads === false ? undefined : await reachHeads(config);
  await using database = open(config.OPERATOR_DATABASE_URL);
  const kept = exported !== undefined && 'heads' in exported ? exported.heads : [];
  const report = await verifyWithProgress(database, [...given, ...kept]);
  const text =
    options.json === true ? verifyJson(report, given, exported) : verifyText(report, given, exported);
  await writeText(process.stdout, text);
  const damaged = exported !== undefined && 'heads' in exported ? exported.damaged.length : 0;
  if (report.finding !== undefined || damaged > 0) return 1;
  return exported !== undefined && 'unreachable' in exported ? exitCodeFor(exported.unreachable) : 0;
}

/** `sluice audit head`: `12:<hash in hex>`, to be kept where nobody who can write the database can write. */
export async function auditHead(options: { json?: boolean }): Promise<number> {
  await using database = open(auditConfig(process.env).OPERATOR_DATABASE_URL);
  const [row] = (await database.execute(findAccessHead())).rows;
  const head = row === undefined ? emptyHead : { id: BigInt(row.id), hash: row.hash };
  const text =
    options.json === true
      ? printableJson({ id: String(head.id), hash: head.hash.toString('hex'), at: row?.at ?? null })
      : formatHead(head);
  await writeText(process.stdout, `${text}\n`);
  return 0;
}

/** `sluice audit list`: who opened what and why, the newest first. */
export async function auditList(options: AccessFilter & { limit: number; json?: boolean }): Promise<number> {
  const { since, limit, json } = options;
  if (since !== undefined && !isTime(since)) {
    throw new PipelineError('USAGE', '--since takes 2026-11-24 or 2026-11-24T08:00:00Z');
  }
  const filter = since?.length === 10 ? { ...options, since: `${since}T00:00:00Z` } : options;
  await using database = open(auditConfig(process.env).OPERATOR_DATABASE_URL);
  let before: string | undefined;
  let left = limit;
  while (left > 0) {
    const pageLimit = Math.min(1_000, left);
    const { rows } = await database.execute(listAccess(filter, before, pageLimit));
    const lines = rows.map((row) => (json === true ? printableJson(row) : accessLine(row)));
    await writeText(process.stdout, lines.map((line) => `${line}\n`).join(''));
    if (rows.length < pageLimit) return 0;
    before = rows.at(-1)?.id;
    left -= rows.length;
  }
  if (json !== true) await writeText(process.stderr, `sluice: ended after ${limit} entries: see --limit\n`);
  return 0;
}

async function reachHeads(config: ReturnType<typeof auditConfig>): Promise<Exported> {
  const { ARCHIVE_URL } = config;
  if (ARCHIVE_URL === undefined) return undefined;
  try {
    return await exportedHeads(await openArchivePlace({ ...config, ARCHIVE_URL }));
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code === 'CONFIG_INVALID') throw error;
    return { unreachable: error };
  }
}

async function verifyWithProgress(database: Database, heads: readonly Head[]): Promise<ChainReport> {
  const total = process.stderr.isTTY ? (await database.execute(findAccessHead())).rows[0]?.id : undefined;
  using progress = new Progress(process.stderr, {
    what: 'entries',
    total: total === undefined ? undefined : Number(total),
  });
  return await verifyChain(database, heads, (count) => progress.add(count));
}

function verifyJson(report: ChainReport, given: readonly Head[], exported: Exported): string {
  const { finding } = report;
  return `${printableJson({
    holds: finding === undefined,
    entries: String(report.entries),
    head: formatHead(report.head),
    finding: finding === undefined ? null : { ...finding, id: String(finding.id) },
    headsGiven: given.length,
    headsExported: exported !== undefined && 'heads' in exported ? exported.heads.length : null,
    headsDamaged: exported !== undefined && 'heads' in exported ? exported.damaged : [],
    headsUnreachable:
      exported !== undefined && 'unreachable' in exported ? exported.unreachable.message : null,
  })}\n`;
}

function verifyText(report: ChainReport, given: readonly Head[], exported: Exported): string {
  const { entries, head, finding } = report;
  const lines = [
    finding === undefined
      ? `the access log holds: ${entries} entries`
      : `THE ACCESS LOG WAS TAMPERED WITH: ${finding.message}`,
    ...(finding === undefined ? [] : [`${entries} entries before hold`]),
    `head     ${formatHead(head)}`,
    `compared ${given.length} heads given, ${exportedText(exported)}`,
    ...(exported !== undefined && 'heads' in exported
      ? exported.damaged.map((name) => `DAMAGED  ${name} is no head of the access log any more`)
      : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function exportedText(exported: Exported): string {
  if (exported === undefined) return 'none exported (ARCHIVE_URL is not set, or --no-heads)';
  if ('heads' in exported) return `${exported.heads.length} exported`;
  return `NONE EXPORTED: ${exported.unreachable.message} [${exported.unreachable.code}]`;
}

function accessLine({ id, at, actor, action, ticket, subject, reason }: ListedAccess): string {
  const texts = [actor.padEnd(18), action.padEnd(8), ticket.padEnd(10), subject, reason];
  return [id.padStart(6), at, ...texts.map((text) => printable(text))].join('  ');
}

function isTime(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?$/.test(text)) return false;
  return parseDay(text.slice(0, 10)) !== undefined && !Number.isNaN(Date.parse(text));
}

/** A log of millions of entries without the one that is looked for takes a while. */
function open(url: string): Database {
  return openDatabase(url, { applicationName: 'sluice-audit', max: 1, statementTimeoutMs: 600_000 });
}
