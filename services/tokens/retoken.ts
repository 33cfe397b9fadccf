import type { Connection, Database } from '../../db/client.ts';
import { executePage } from '../../db/keyset.ts';
import { lockKeys, withLock } from '../../db/locks.ts';
import { insertAccess } from '../../db/queries/insert-access.ts';
import { listStaleTokens, type StaleRow } from '../../db/queries/list-stale-tokens.ts';
import { listTokenDays, type TokenDay } from '../../db/queries/list-token-days.ts';
import { updateTokens, type FieldTokens } from '../../db/queries/update-tokens.ts';
import { DayOpener } from '../../shared/crypto/open-event.ts';
import { Tokenizer, tokenPrefix } from '../../shared/crypto/token.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { PersonalField, Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import type { DayPrivateKeys, Peppers } from '../../shared/vault/ports.ts';
import { readEpochs } from './epochs.ts';
import type { Purpose } from './rotate.ts';

export interface RetokenReport {
  readonly epoch: number;
  /** Rows whose tokens were made anew, and the days they are of. */
  readonly retokened: number;
  readonly days: readonly Day[];
  /** Rows that keep a token of an epoch before because a field of theirs does not open in its place: moved or altered. */
  readonly unopened: number;
  /** Rows that changed between our look and our write: erased meanwhile, most likely. The next run looks again. */
  readonly changed: number;
  /** Days of which nothing opens, because the vault has no private key for them. */
  readonly daysWithoutKey: readonly Day[];
}

interface RetokenParts<M> {
  readonly database: Database;
  readonly stream: Stream<M>;
  readonly keys: DayPrivateKeys;
  readonly peppers: Peppers;
  readonly purpose: Purpose;
  /** Told how many rows more have been looked at. */
  readonly onProgress?: (rows: number) => void;
  /** Rows opened under one entry of the access log, and written by one statement. */
  readonly pageRows?: number;
}

/** A second's work: what a kill loses, and how long a row is locked at most. */
const defaultPageRows = 1_000;

/**
 * Gives live rows tokens of the current epoch, and of the prior one while a window is open, through the recovery door. **Before a
 * page is opened, the access log has its entry, committed.** Any number of times, from wherever the last run was cut off: a row
 * is rewritten whole, and one that is done is not looked at again. Erased fields stay erased; shredded days are passed over.
 *
 * @throws PipelineError KEY_MISSING when the vault lacks a pepper; whatever database and vault throw. What was done stays done.
 */
export async function retoken<M>(parts: RetokenParts<M>): Promise<RetokenReport> {
  return parts.database.withSession((connection) =>
    // No epoch begins or ends while we are at it.
    withLock(connection, lockKeys.tokens, async () => {
      const { current, prior } = await readEpochs(connection);
      using tokenizers = await openTokenizers(parts.peppers, current, prior);
      const report = {
        epoch: current,
        retokened: 0,
        days: [] as Day[],
        unopened: 0,
        changed: 0,
        daysWithoutKey: [] as Day[],
      };
      const { rows: days } = await connection.execute<TokenDay>(listTokenDays());
      for (const day of days) {
        if (day.destroyed) continue;
        const done = await retokenDay(connection, parts, tokenizers, day);
        if (done === undefined) report.daysWithoutKey.push(day.day);
        else if (done.retokened > 0) report.days.push(day.day);
        report.retokened += done?.retokened ?? 0;
        report.unopened += done?.unopened ?? 0;
        report.changed += done?.changed ?? 0;
      }
      return report;
    }),
  );
}

interface TokenizerPair extends Disposable {
  readonly current: Tokenizer;
  readonly prior: Tokenizer | undefined;
}

async function openTokenizers(
  peppers: Peppers,
  current: number,
  prior: number | undefined,
): Promise<TokenizerPair> {
  const open = async (epoch: number) => {
    const pepper = await peppers.pepper(epoch);
    if (pepper === undefined)
      throw new PipelineError('KEY_MISSING', `the vault has no pepper of token epoch ${epoch}`);
    return new Tokenizer(pepper);
  };
  using opened = new DisposableStack();
  const keep = async (epoch: number) => opened.adopt(await open(epoch), (one) => one.retire());
  const pair = { current: await keep(current), prior: prior === undefined ? undefined : await keep(prior) };
  const held = opened.move();
  return { ...pair, [Symbol.dispose]: () => held.dispose() };
}

/** Undefined when the day has rows to do and the vault has no key to open them with. */
async function retokenDay<M>(
  connection: Connection,
  parts: RetokenParts<M>,
  tokenizers: TokenizerPair,
  { day, public_key: publicKey }: TokenDay,
): Promise<{ retokened: number; unopened: number; changed: number } | undefined> {
  const { stream } = parts;
  using cleanup = new DisposableStack();
  let opener: DayOpener | undefined;
  const prefix = tokenPrefix(tokenizers.current.epoch);
  const limit = parts.pageRows ?? defaultPageRows;
  const done = { retokened: 0, unopened: 0, changed: 0 };
  for (let after: string | undefined; ;) {
    const { rows } = await executePage(connection, listStaleTokens(stream, { day, prefix, after, limit }));
    const [first, last] = [rows[0]?.event_id, rows.at(-1)?.event_id];
    if (first === undefined || last === undefined) return done;
    const subject = `${day} ${first}..${last} ${rows.length}`;
    await connection.execute(insertAccess({ action: 'retoken', ...parts.purpose, subject }));
    try {
      opener ??= cleanup.use(await DayOpener.of(parts.keys, { table: stream.name, day, publicKey }));
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'KEY_DESTROYED') return undefined;
      throw error;
    }
    const page = tokensOf(stream, rows, opener, tokenizers);
    done.unopened += rows.length - page.eventIds.length;
    if (page.eventIds.length > 0) {
      const update = updateTokens(stream, day, page.eventIds, page.fields);
      const { rowCount } = await executePage(connection, update);
      done.retokened += rowCount;
      done.changed += page.eventIds.length - rowCount;
    }
    parts.onProgress?.(rows.length);
    after = last;
  }
}

/** The new tokens of those rows that open. */
function tokensOf<M>(
  stream: Stream<M>,
  rows: readonly StaleRow[],
  opener: DayOpener,
  tokenizers: TokenizerPair,
): { eventIds: string[]; fields: FieldTokens[] } {
  const eventIds: string[] = [];
  const fields = stream.personalFields.map(() => ({
    old: [] as (string | null)[],
    masked: [] as (string | null)[],
    prior: [] as (string | null)[],
  }));
  for (const row of rows) {
    const tokens = stream.personalFields.map((field) => fieldTokens(field, row, opener, tokenizers));
    if (tokens.includes(undefined)) continue;
    eventIds.push(row.event_id);
    for (const [i, token] of tokens.entries()) {
      fields[i]?.old.push(token?.old ?? null);
      fields[i]?.masked.push(token?.masked ?? null);
      fields[i]?.prior.push(token?.prior ?? null);
    }
  }
  return { eventIds, fields };
}

interface OneToken {
  readonly old: string | null;
  readonly masked: string | null;
  readonly prior: string | null;
}

/** Undefined when the field does not open. */
function fieldTokens<M>(
  { field, maskedColumn, priorColumn, sealedColumn }: PersonalField<M>,
  row: StaleRow,
  opener: DayOpener,
  { current, prior }: TokenizerPair,
): OneToken | undefined {
  const old = textOf(row[maskedColumn]);
  if (old === null) return { old, masked: null, prior: null };
  if (old.startsWith(tokenPrefix(current.epoch)))
    return { old, masked: old, prior: textOf(row[priorColumn]) };
  const sealed = row[sealedColumn];
  if (!Buffer.isBuffer(sealed) || row.sealed_dek === null) return undefined;
  const dataKey = { id: BigInt(row.dek_id), sealed: row.sealed_dek };
  const plain = opener.open({ column: sealedColumn, eventId: row.event_id }, sealed, dataKey);
  if (plain === undefined) return undefined;
  const isPrior = prior !== undefined && old.startsWith(tokenPrefix(prior.epoch));
  return {
    old,
    masked: current.token(field, plain),
    prior: isPrior ? old : (prior?.token(field, plain) ?? null),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
