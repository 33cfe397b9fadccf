import type { Session } from '../../db/client.ts';
import { findEvent, type SealedEvent } from '../../db/queries/find-event.ts';
import { insertAccess } from '../../db/queries/insert-access.ts';
import { openField } from '../../shared/crypto/field.ts';
import { openSealed, wipe } from '../../shared/crypto/sealed-box.ts';
import { canonicalUuid } from '../../shared/crypto/uuid.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import type { DayPrivateKeys } from '../../shared/vault/ports.ts';

export interface RecoverRequest {
  readonly eventId: string;
  readonly reason: string;
  readonly ticket: string;
  /** Spares the look-up in every day. */
  readonly day?: Day;
}

export interface RecoveredEvent {
  readonly eventId: string;
  readonly day: Day;
  readonly sentAt: string;
  /** Columns that were never sealed. */
  readonly clear: Readonly<Record<string, unknown>>;
  /** Personal fields, opened. */
  readonly personal: Readonly<Record<string, string>>;
  /** The entry of the access log under which this was opened. */
  readonly accessId: string;
}

/** Thrown when no such event is stored. Its attempt is in the access log all the same. */
export class EventNotFound extends Error {}

/**
 * The one door to plaintext. **The access log has its entry, committed, before a key is asked for**, whether the event exists or not.
 *
 * @throws PipelineError USAGE for a request without an id, reason or ticket; KEY_DESTROYED when the vault has no key for the day;
 * INTERNAL when a cell does not open in its place: it was moved or altered. EventNotFound.
 */
export async function recoverEvent<M>(
  parts: { session: Session; keys: DayPrivateKeys; stream: Stream<M> },
  request: RecoverRequest,
): Promise<RecoveredEvent> {
  const { session, keys, stream } = parts;
  const eventId = validated(request);
  const access = await session.execute<{ id: string }>(
    insertAccess({ action: 'recover', reason: request.reason, ticket: request.ticket, subject: eventId }),
  );
  const accessId = access.rows[0]?.id;
  if (accessId === undefined) throw new PipelineError('INTERNAL', 'the access log took no entry');
  const found = await session.execute<SealedEvent>(findEvent(stream, eventId, request.day));
  const event = found.rows[0];
  if (event === undefined) throw new EventNotFound();
  return {
    eventId,
    day: event.create_date,
    sentAt: event.sent_at,
    clear: Object.fromEntries(stream.clearColumns.map(({ column }) => [column, event[column]])),
    personal: await openFields(keys, stream, eventId, event),
    accessId,
  };
}

function validated(request: RecoverRequest): string {
  const eventId = canonicalUuid(request.eventId);
  if (eventId === undefined) throw new PipelineError('USAGE', '--event-id is not a UUID');
  if (request.reason.trim() === '')
    throw new PipelineError('USAGE', '--reason is empty: say why this is opened');
  if (request.ticket.trim() === '')
    throw new PipelineError('USAGE', '--ticket is empty: name the request it belongs to');
  if (request.day !== undefined && !/^\d{4}-\d\d-\d\d$/.test(request.day)) {
    throw new PipelineError('USAGE', '--day is not YYYY-MM-DD');
  }
  return eventId;
}

async function openFields<M>(
  keys: DayPrivateKeys,
  stream: Stream<M>,
  eventId: string,
  event: SealedEvent,
): Promise<Record<string, string>> {
  const day = event.create_date;
  const privateKey = await keys.dayPrivateKey(day, event.public_key);
  if (privateKey === undefined) throw new PipelineError('KEY_DESTROYED', `no private key for ${day}`);
  const dek = openSealed(event.sealed_dek, { publicKey: event.public_key, privateKey });
  wipe(privateKey);
  if (dek === undefined)
    throw new PipelineError('INTERNAL', `data key ${event.dek_id} does not open with the key of ${day}`);
  try {
    const fields = stream.personalFields.map(({ field, sealedColumn }): [string, string] => {
      const sealed = event[sealedColumn];
      const plain = Buffer.isBuffer(sealed)
        ? openField(sealed, { table: stream.name, column: sealedColumn, day, eventId }, dek)
        : undefined;
      if (plain === undefined)
        throw new PipelineError('INTERNAL', `${sealedColumn} does not open in its place: moved or altered`);
      return [field, plain];
    });
    return Object.fromEntries(fields);
  } finally {
    wipe(dek);
  }
}
