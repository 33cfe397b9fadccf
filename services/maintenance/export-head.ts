import type { Session } from '../../db/client.ts';
import { findAccessHead } from '../../db/queries/find-access-head.ts';
import { openArchivePlace, type ArchiveConfig } from '../../shared/archive/open-place.ts';
import { emptyHead, formatHead } from '../../shared/audit/chain.ts';
import { exportHead } from '../../shared/audit/heads.ts';
import type { Clock } from '../../shared/time.ts';

/**
 * Keeps the head of the access log in the archive, once each, that of an empty log too: whoever cuts or rewrites the log afterwards
 * contradicts it (`sluice audit verify`). Without ARCHIVE_URL nothing is kept.
 *
 * @returns the head that was new there, `12:<hash>`.
 * @throws PipelineError of the database or the archive
 */
export async function exportAccessHead(
  session: Session,
  config: Omit<ArchiveConfig, 'ARCHIVE_URL'> & { readonly ARCHIVE_URL?: string | undefined },
  clock: Clock,
): Promise<string | undefined> {
  const { ARCHIVE_URL } = config;
  if (ARCHIVE_URL === undefined) return undefined;
  const [row] = (await session.execute(findAccessHead())).rows;
  const head = row === undefined ? emptyHead : { id: BigInt(row.id), hash: row.hash };
  const place = await openArchivePlace({ ...config, ARCHIVE_URL });
  return (await exportHead(place, head, clock())) ? formatHead(head) : undefined;
}
