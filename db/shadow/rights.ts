import type { Session } from '../client.ts';
import { giveRight, listRights, takeRights } from '../queries/list-rights.ts';

/**
 * Who reaches a shadow, with the rights that they have on the table itself: the replayer fills it, the operator compares it, the shredder
 * clears it. **Neither writers nor analysts**: nothing flows into it but the replay, and nobody works with it before it is in its place.
 */
const shadowRoles = ['sluice_replayer', 'sluice_operator', 'sluice_shredder'];

/** Who reaches what was put aside. Nothing is added to it. */
const asideRoles = ['sluice_operator', 'sluice_shredder'];

/** Gives the rights of a shadow on `to`, as they are on `from`. @throws PipelineError */
export function giveShadowRights(session: Session, from: string, to: string): Promise<void> {
  return copyRights(session, from, to, shadowRoles);
}

/** The same for a day's own table that is no partition any more. @throws PipelineError */
export function giveAsideRights(session: Session, from: string, to: string): Promise<void> {
  return copyRights(session, from, to, asideRoles);
}

/** A partition carries no rights of its own: nobody reaches it but through its table. @throws PipelineError */
export async function takeAsideRights(session: Session, table: string): Promise<void> {
  const { rows } = await session.execute(listRights(table, asideRoles));
  for (const role of new Set(rows.map((right) => right.role))) await session.execute(takeRights(table, role));
}

async function copyRights(
  session: Session,
  from: string,
  to: string,
  roles: readonly string[],
): Promise<void> {
  const { rows } = await session.execute(listRights(from, roles));
  for (const right of rows) await session.execute(giveRight(to, right));
}
