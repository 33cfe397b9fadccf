import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { ArchivePlace } from '../archive/place.ts';
import { PipelineError } from '../errors.ts';
import { formatHead, parseHead, type Head } from './chain.ts';

const directory = 'audit/heads/';
/** Objects read at once: each takes a round trip. */
const readAtOnce = 8;

const fileShape = z.object({ head: z.string(), exportedAt: z.string() });

/**
 * Keeps a head of the access log outside the database: `audit/heads/000000000012-<first 16 digits of its hash>.json`, with
 * `{"head":"12:<hash>","exportedAt":"<ISO 8601>"}`. Once; **a head that says otherwise lies beside it and is never replaced.**
 *
 * @returns whether it was new.
 * @throws PipelineError ARCHIVE_UNAVAILABLE, ARCHIVE_FORBIDDEN
 */
export async function exportHead(place: ArchivePlace, head: Head, nowMs: number): Promise<boolean> {
  const name = `${directory}${String(head.id).padStart(12, '0')}-${head.hash.toString('hex', 0, 8)}.json`;
  if (await isThere(place, name)) return false;
  const content = JSON.stringify({ head: formatHead(head), exportedAt: new Date(nowMs).toISOString() });
  await place.put(name, one(Buffer.from(`${content}\n`)));
  return true;
}

/** What was exported: the heads, and by name what is no head any more. */
export interface ExportedHeads {
  readonly heads: readonly Head[];
  readonly damaged: readonly string[];
}

/** Every head that was exported there. @throws PipelineError ARCHIVE_UNAVAILABLE, ARCHIVE_FORBIDDEN */
export async function exportedHeads(place: ArchivePlace): Promise<ExportedHeads> {
  const names = await place.list(directory);
  const heads: Head[] = [];
  const damaged: string[] = [];
  for (let first = 0; first < names.length; first += readAtOnce) {
    const batch = names.slice(first, first + readAtOnce);
    const read = await Promise.all(batch.map(async (name) => ({ name, head: await readHead(place, name) })));
    for (const { name, head } of read) {
      if (head === undefined) damaged.push(name);
      else heads.push(head);
    }
  }
  return { heads, damaged };
}

/** An archive that was never begun has none, and the first `put` begins it: whoever cannot be reached refuses that too. */
async function isThere(place: ArchivePlace, name: string): Promise<boolean> {
  try {
    const found = await place.get(name);
    found?.destroy();
    return found !== undefined;
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'ARCHIVE_UNAVAILABLE') return false;
    throw error;
  }
}

/** Undefined for what is no head. */
async function readHead(place: ArchivePlace, name: string): Promise<Head | undefined> {
  const found = await place.get(name);
  return found === undefined ? undefined : parse(await text(found));
}

function parse(content: string): Head | undefined {
  try {
    return parseHead(fileShape.parse(JSON.parse(content)).head);
  } catch {
    return undefined;
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
