import type { Connection, Session } from '../../db/client.ts';
import { approveRecovery } from '../../db/queries/approve-recovery.ts';
import { insertAccess, type AccessEntry } from '../../db/queries/insert-access.ts';
import { insertRecoveryRequest } from '../../db/queries/insert-recovery-request.ts';
import { listRecoveryRequests, type RecoveryRequest } from '../../db/queries/list-recovery-requests.ts';
import { useRecovery } from '../../db/queries/use-recovery.ts';
import { PipelineError } from '../../shared/errors.ts';
import { enter } from './recover.ts';
import type { Purpose } from './selection.ts';

/*
 * Two people for one recovery: one login asks, another approves, the first uses it once, for exactly what was approved. The database's
 * functions decide; what is looked up here only says why they refused. Each step has its entry in the access log, in its transaction.
 */

/** Asks for approval. Returns the id of the request. */
export async function requestApproval(
  connection: Connection,
  subject: string,
  purpose: Purpose,
): Promise<string> {
  return connection.transaction(async (session) => {
    const { rows } = await session.execute(insertRecoveryRequest({ subject, ...purpose }));
    const id = rows[0]?.id;
    if (id === undefined) throw new PipelineError('INTERNAL', 'no request was made');
    await session.execute(
      insertAccess({ action: 'request', ...purpose, subject: `request:${id} ${subject}` }),
    );
    return id;
  });
}

/**
 * Lets another one's recovery go ahead. Returns the request as it is now.
 * @throws PipelineError APPROVAL_MISSING saying why not: unknown, one's own, expired, approved or used already.
 */
export async function approveRequest(connection: Connection, id: string): Promise<RecoveryRequest> {
  return connection.transaction(async (session) => {
    const request = await find(session, id);
    const { rows } = await session.execute(approveRecovery(id));
    if (rows[0]?.approved !== true) throw refused(id, whyNotApproved(request));
    const { reason, ticket, subject } = request;
    await session.execute(
      insertAccess({ action: 'approve', reason, ticket, subject: `request:${id} ${subject}` }),
    );
    return find(session, id);
  });
}

/**
 * Uses an approved request up, for this subject, reason and ticket alone. Returns the entry that says so.
 * @throws PipelineError APPROVAL_MISSING saying why not. Then nothing may be opened.
 */
export async function useApproval(
  connection: Connection,
  id: string,
  subject: string,
  purpose: Purpose,
): Promise<AccessEntry> {
  return connection.transaction(async (session) => {
    const request = await find(session, id);
    if (request.reason !== purpose.reason || request.ticket !== purpose.ticket) {
      throw refused(id, 'was made with another --reason or --ticket');
    }
    const { rows } = await session.execute(useRecovery(id, subject));
    if (rows[0]?.used !== true) throw refused(id, whyNotUsable(request, subject));
    return enter(session, `request:${id} ${subject}`, purpose);
  });
}

async function find(session: Session, id: string): Promise<RecoveryRequest> {
  const { rows } = await session.execute(listRecoveryRequests({ id }));
  const [request] = rows;
  if (request === undefined) throw refused(id, 'does not exist');
  return request;
}

function whyNotApproved({ state, own, approved_by }: RecoveryRequest): string {
  if (state === 'used') return 'has been used';
  if (state === 'expired') return 'has expired: ask again';
  if (approved_by !== null) return `is approved already, by ${approved_by}`;
  return own ? 'is your own: another person must approve it' : 'cannot be approved';
}

function whyNotUsable(request: RecoveryRequest, subject: string): string {
  const { state, own } = request;
  if (!own) return `was made by ${request.requested_by}, who alone may use it`;
  if (state === 'used') return `was used on ${request.used_at ?? ''}: ask again`;
  if (state === 'expired') return 'has expired: ask again';
  if (state === 'waiting') return 'waits for approval';
  return request.subject === subject ? 'cannot be used' : 'is for something else';
}

function refused(id: string, why: string): PipelineError {
  return new PipelineError('APPROVAL_MISSING', `request ${id} ${why}`);
}
