import type { Connection, Session } from '../../db/client.ts';
import { findEvent } from '../../db/queries/find-event.ts';
import { insertAccess, type AccessEntry } from '../../db/queries/insert-access.ts';
import { listRecoveryDays } from '../../db/queries/list-recovery-days.ts';
import { DayOpener } from '../../shared/crypto/open-event.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { DayPrivateKeys } from '../../shared/vault/ports.ts';
import { asOpenDay, type OpenDay } from './days.ts';
import { isSealed, openRow, type RecoveredEvent } from './open-row.ts';
import type { EventSelection, Purpose } from './selection.ts';

/** What the one door to plaintext is made of. */
export interface Door<M> {
  /** As the recoverer's role. */
  readonly connection: Connection;
  readonly keys: DayPrivateKeys;
  readonly stream: Stream<M>;
}

/** Thrown when no such event is stored. Its attempt is in the access log all the same. */
export class EventNotFound extends Error {
  /** How many days lie in the archive, where nobody has looked. */
  readonly archivedDays: number;

  constructor(archivedDays: number) {
    super('no such event is stored');
    this.archivedDays = archivedDays;
  }
}

/**
 * Opens one event. **The access log has its entry, committed, before a key is asked for**, whether the event exists or not.
 *
 * @returns the event and the head of the access log after its entry.
 * @throws PipelineError KEY_DESTROYED or DAY_ARCHIVED for a day of which nothing can be opened; INTERNAL when a cell does not open in
 * its place: it was moved or altered. EventNotFound.
 */
export async function recoverEvent<M>(
  door: Door<M>,
  { eventId, day }: EventSelection,
  purpose: Purpose,
): Promise<{ event: RecoveredEvent; head: AccessEntry }> {
  const { connection, stream } = door;
  const head = await enter(connection, eventId, purpose);
  const { rows } = await connection.execute(findEvent(stream, eventId, day));
  const [row] = rows;
  const [first, last] = [row?.create_date ?? day ?? '0001-01-01', row?.create_date ?? day ?? '9999-12-31'];
  const days = (await connection.execute(listRecoveryDays(stream.name, first, last))).rows.map(asOpenDay);
  if (row === undefined) {
    const errors = days.filter((one) => one instanceof PipelineError);
    if (day !== undefined && errors[0] !== undefined) throw errors[0];
    throw new EventNotFound(errors.filter(({ code }) => code === 'DAY_ARCHIVED').length);
  }
  const [found] = days;
  if (found === undefined) throw new PipelineError('INTERNAL', `${row.create_date} has no key`);
  if (found instanceof PipelineError) throw found;
  using opener = isSealed(stream, row) ? await openDay(door, found) : undefined;
  const event = openRow(stream, row, head, opener);
  if (event.damaged?.[0] !== undefined) {
    throw new PipelineError('INTERNAL', `${event.damaged[0]} does not open in its place: moved or altered`);
  }
  return { event, head };
}

/** Writes the entry that comes before everything else. Committed when it resolves. */
export async function enter(session: Session, subject: string, purpose: Purpose): Promise<AccessEntry> {
  const { rows } = await session.execute(insertAccess({ action: 'recover', ...purpose, subject }));
  const [entry] = rows;
  if (entry === undefined) throw new PipelineError('INTERNAL', 'the access log took no entry');
  return entry;
}

/** Asks the vault for the key of a day. Only after the entries for what will be opened with it. */
export function openDay<M>(door: Door<M>, { day, publicKey }: OpenDay): Promise<DayOpener> {
  return DayOpener.of(door.keys, { table: door.stream.name, day, publicKey });
}
