import { insertAccesses } from '../../db/queries/insert-accesses.ts';
import type { AccessEntry } from '../../db/queries/insert-access.ts';
import type { Session } from '../../db/client.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import type { TransitKeys } from '../../shared/vault/ports.ts';
import type { Found } from './look.ts';

/** A body, or in a sentence why it does not open. */
export type OpenedBody = { readonly body: Buffer } | { readonly closed: string };

/**
 * Opens the bodies of records. **Each record has its entry in the access log (`topic/partition/offset`), committed, before any key is
 * asked for**, those that need none too.
 *
 * @returns bodies in the order of the records, and the head of the log after the entries.
 * @throws PipelineError of the database or the vault
 */
export async function openBodies(
  session: Session,
  keys: TransitKeys,
  records: readonly Found[],
  purpose: { reason: string; ticket: string },
): Promise<{ bodies: OpenedBody[]; head: AccessEntry | undefined }> {
  if (records.length === 0) return { bodies: [], head: undefined };
  const subjects = records.map(({ topic, partition, record }) => `${topic}/${partition}/${record.offset}`);
  const { rows } = await session.execute(insertAccesses({ action: 'peek', ...purpose }, subjects));
  if (rows.length !== records.length) {
    throw new PipelineError('INTERNAL', 'the access log did not take every entry');
  }
  const transit = new TransitSealer(keys);
  try {
    const bodies: OpenedBody[] = [];
    for (const found of records) bodies.push(await open(transit, found));
    return { bodies, head: rows.at(-1) };
  } finally {
    transit.forgetAll();
  }
}

async function open(transit: TransitSealer, { record }: Found): Promise<OpenedBody> {
  const day = TransitSealer.dayOf(record.value);
  if (day === undefined) {
    return record.value[0] === 0x01
      ? { closed: 'it is sealed in no format we know' }
      : { body: record.value };
  }
  const identity = identityOf(record);
  if (identity === undefined) return { closed: 'it has no MessageId, to which its body was bound' };
  try {
    await transit.prepare(day);
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'KEY_MISSING') throw error;
    return { closed: `the transit key of ${day} has been destroyed: nothing can open it` };
  }
  const body = transit.open(record.value, identity);
  return Buffer.isBuffer(body) ? { body } : { closed: 'it does not open under its key, identity and time' };
}
