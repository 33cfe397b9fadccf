import { insertAccesses } from '../../db/queries/insert-accesses.ts';
import type { AccessEntry } from '../../db/queries/insert-access.ts';
import { listRecoveryDays } from '../../db/queries/list-recovery-days.ts';
import { countSealedEvents, listSealedEvents } from '../../db/queries/list-sealed-events.ts';
import type { SealedEvent } from '../../db/queries/sealed-event.ts';
import type { DayOpener } from '../../shared/crypto/open-event.ts';
import { PipelineError, type ErrorCode } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';
import { asOpenDay, type OpenDay } from './days.ts';
import { isSealed, openRow, type RecoveredEvent } from './open-row.ts';
import { enter, openDay, type Door } from './recover.ts';
import { subjectOf, type Purpose, type RangeSelection } from './selection.ts';

export interface RangeReport {
  readonly subject: string;
  /** Events delivered, and how many of them have a field that was erased. */
  readonly events: number;
  readonly erased: number;
  /** Cells that do not open in their place, and the first hundred of them by name. */
  readonly damaged: number;
  readonly damagedCells: readonly { readonly eventId: string; readonly day: Day; readonly column: string }[];
  /** Days of which nothing could be opened, or not all. */
  readonly skipped: readonly { readonly day: Day; readonly code: ErrorCode; readonly message: string }[];
  /** Whether it ended at the limit: there may be more. */
  readonly limited: boolean;
  /** The head of the access log after the last entry. */
  readonly head: AccessEntry;
}

export interface RangeOptions {
  /** Events at most. */
  readonly limit?: number | undefined;
  /** Takes the events of a page, in the order of days and ids; the next page waits for it. */
  readonly deliver: (events: readonly RecoveredEvent[]) => Promise<void>;
  /** Given only by who shows progress: counting reads every partition of the range once more. */
  readonly onTotal?: (total: number) => void;
  /** For tests. */
  readonly pageSize?: number;
}

/** Entries that one transaction adds to the log, and rows in memory at once. */
const pageSize = 500;
const namedCells = 100;

/**
 * Opens every event that matches, page by page, in bounded memory. **For every event its entry in the access log is committed before the
 * key of its page is asked for, and the whole request has one before that.** What cannot be opened is left out, and told in the
 * report; the rest is delivered. The vault is asked once a day of events.
 *
 * @throws PipelineError when the database or the vault does not answer, or `deliver` fails. What was delivered has its entries.
 */
export async function recoverRange<M>(
  door: Door<M>,
  selection: RangeSelection,
  purpose: Purpose,
  options: RangeOptions,
): Promise<RangeReport> {
  const range = new Range(door, selection, purpose, options);
  return range.run();
}

interface FoundDay {
  readonly day: Day;
  /** Whether its rows are in the table. */
  readonly attached: boolean;
  readonly state: OpenDay | PipelineError;
}

/** One recovery of a range: where it is and what it has seen. */
class Range<M> {
  readonly #door: Door<M>;
  readonly #selection: RangeSelection;
  readonly #purpose: Purpose;
  readonly #options: RangeOptions;
  readonly #damagedCells: RangeReport['damagedCells'][number][] = [];
  readonly #skipped: RangeReport['skipped'][number][] = [];
  #events = 0;
  #erased = 0;
  #damaged = 0;
  #head: AccessEntry | undefined;

  constructor(door: Door<M>, selection: RangeSelection, purpose: Purpose, options: RangeOptions) {
    this.#door = door;
    this.#selection = selection;
    this.#purpose = purpose;
    this.#options = options;
  }

  async run(): Promise<RangeReport> {
    const subject = subjectOf(this.#selection);
    this.#head = await enter(this.#door.connection, subject, this.#purpose);
    const { from, to } = this.#selection;
    const days = await this.#days(from, to);
    const open = days.filter(({ state }) => !(state instanceof PipelineError)).map(({ day }) => day);
    if (this.#options.onTotal !== undefined) this.#options.onTotal(await this.#count(open));
    for (const found of days) {
      if (this.#left === 0) break;
      if (found.state instanceof PipelineError) await this.#skip(found, found.state);
      else await this.#day(found.state);
    }
    return {
      subject,
      events: this.#events,
      erased: this.#erased,
      damaged: this.#damaged,
      damagedCells: this.#damagedCells,
      skipped: this.#skipped,
      limited: this.#left === 0,
      head: this.#head,
    };
  }

  /** Events until the limit. */
  get #left(): number {
    return Math.max(0, (this.#options.limit ?? Infinity) - this.#events);
  }

  async #days(from: Day, to: Day): Promise<FoundDay[]> {
    const { connection, stream } = this.#door;
    const { rows } = await connection.execute(listRecoveryDays(stream.name, from, to));
    return rows.map((row) => ({ day: row.day, attached: row.attached, state: asOpenDay(row) }));
  }

  async #count(days: readonly Day[]): Promise<number> {
    const { connection, stream } = this.#door;
    const { rows } = await connection.execute(countSealedEvents(stream, days, this.#selection.filter));
    return Math.min(Number(rows[0]?.count ?? 0), this.#options.limit ?? Infinity);
  }

  /** A day that was shredded and never saw this user is no loss; its tokens are gone, so that of a device nobody can say. */
  async #skip({ day, attached }: FoundDay, error: PipelineError): Promise<void> {
    const countable = error.code === 'KEY_DESTROYED' && attached && 'userId' in this.#selection.filter;
    if (countable && (await this.#count([day])) === 0) return;
    this.#skipped.push({ day, code: error.code, message: error.message });
  }

  async #day(day: OpenDay): Promise<void> {
    // Opened by the first page that has something sealed.
    const opened: { opener?: DayOpener } = {};
    try {
      await this.#pages(day, async () => (opened.opener ??= await openDay(this.#door, day)));
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'KEY_DESTROYED') throw error;
      this.#skipped.push({ day: day.day, code: error.code, message: error.message });
      return;
    } finally {
      opened.opener?.[Symbol.dispose]();
    }
    // A day that left for the archive meanwhile ended early without a word.
    const [now] = await this.#days(day.day, day.day);
    if (now?.state instanceof PipelineError) await this.#skip(now, now.state);
  }

  async #pages({ day }: OpenDay, opener: () => Promise<DayOpener>): Promise<void> {
    const { connection, stream } = this.#door;
    const { filter } = this.#selection;
    let after: string | undefined;
    for (;;) {
      const limit = Math.min(this.#options.pageSize ?? pageSize, this.#left);
      if (limit === 0) return;
      const page = { day, filter, after, limit };
      const { rows } = await connection.execute(listSealedEvents(stream, page));
      const last = rows.at(-1);
      if (last === undefined) return;
      const entries = await this.#enter(rows);
      const key = rows.some((row) => isSealed(stream, row)) ? await opener() : undefined;
      const events = rows.map((row, i) => this.#noted(openRow(stream, row, at(entries, i), key)));
      await this.#options.deliver(events);
      if (rows.length < limit) return;
      after = last.event_id;
    }
  }

  /** One statement, so one transaction: all entries or none. */
  async #enter(rows: readonly SealedEvent[]): Promise<AccessEntry[]> {
    const why = { action: 'recover', ...this.#purpose } as const;
    const subjects = rows.map(({ event_id }) => event_id);
    const { rows: entries } = await this.#door.connection.execute(insertAccesses(why, subjects));
    if (entries.length !== rows.length) {
      throw new PipelineError('INTERNAL', 'the access log did not take every entry');
    }
    this.#head = entries.at(-1);
    return entries;
  }

  #noted(event: RecoveredEvent): RecoveredEvent {
    this.#events += 1;
    if (event.erased !== undefined) this.#erased += 1;
    for (const column of event.damaged ?? []) {
      this.#damaged += 1;
      if (this.#damagedCells.length < namedCells) {
        this.#damagedCells.push({ eventId: event.eventId, day: event.day, column });
      }
    }
    return event;
  }
}

function at(entries: readonly AccessEntry[], index: number): AccessEntry {
  const entry = entries[index];
  if (entry === undefined) throw new PipelineError('INTERNAL', 'an event without an entry');
  return entry;
}
