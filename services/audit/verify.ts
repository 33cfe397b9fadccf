import type { Connection } from '../../db/client.ts';
import { fetchAccessEntries, type StoredEntry } from '../../db/queries/fetch-access-entries.ts';
import { openAccessCursor } from '../../db/queries/open-access-cursor.ts';
import { ChainVerifier, type Finding, type Head, type LogEntry } from '../../shared/audit/chain.ts';

export interface ChainReport {
  /** Entries that hold, from the first on. */
  readonly entries: bigint;
  /** The last of them. */
  readonly head: Head;
  /** The first that does not, or that is missing. */
  readonly finding: Finding | undefined;
}

/** Entries in memory at once: a megabyte or so. */
const atOnce = 2_000;

/**
 * Computes the chain of the access log anew, entry by entry, and compares it with what is stored and with the heads that were kept. Stops
 * at the first entry that does not hold. The log as it is when this begins; entries may be added meanwhile.
 *
 * @throws PipelineError when the database does not answer
 */
export async function verifyChain(
  connection: Connection,
  heads: readonly Head[],
  onEntries?: (count: number) => void,
): Promise<ChainReport> {
  const chain = new ChainVerifier(heads);
  const finding = await connection.transaction(async (session) => {
    await session.execute(openAccessCursor());
    for (;;) {
      const { rows } = await session.execute(fetchAccessEntries(atOnce));
      if (rows.length === 0) return chain.end();
      for (const row of rows) {
        const found = chain.next(entryOf(row));
        if (found !== undefined) return found;
      }
      onEntries?.(rows.length);
    }
  });
  return { entries: chain.head.id, head: chain.head, finding };
}

function entryOf(row: StoredEntry): LogEntry {
  return {
    // A row whose id was taken away is sorted to the end, where it is out of order.
    id: BigInt(row.id ?? 0),
    atUs: row.at_us === null ? undefined : BigInt(row.at_us),
    actor: row.actor ?? undefined,
    action: row.action ?? undefined,
    reason: row.reason ?? undefined,
    ticket: row.ticket ?? undefined,
    subject: row.subject ?? undefined,
    prevHash: row.prev_hash ?? undefined,
    hash: row.hash ?? undefined,
  };
}
