import { z } from 'zod';
import { PipelineError } from '../errors.ts';
import type { Day } from '../time.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().min(0);

/** One stored object: what lies there, and what is in it once decompressed. */
const objectSchema = z.strictObject({
  /** Within the day's folder. */
  name: z.string().regex(/^(rows|data-keys)(\.\d{1,3})?\.csv\.zst$/),
  /** Records, the header line not counted. */
  rows: count,
  bytes: count,
  sha256,
  plainBytes: count,
  plainSha256: sha256,
});

const manifestSchema = z.strictObject({
  format: z.literal(1),
  table: z.string(),
  day: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  /** When the day left its table. */
  createdAt: z.iso.datetime(),
  /** The last migration of the database it comes from. */
  schema: z.string(),
  /** In the order of the CSV, with their types as Postgres writes them. */
  columns: z.array(z.strictObject({ name: z.string().min(1), type: z.string().min(1) })).min(1),
  /** The day's public key, base64, and what its private half is filed under; null for a day that never had one. */
  publicKey: z
    .strictObject({ base64: z.base64(), fingerprint: z.string().regex(/^[0-9a-f]{16}$/) })
    .nullable(),
  /** Epochs of the tokens in it, ascending; none once they are cleared. */
  tokenEpochs: z.array(count),
  objects: z.strictObject({ rows: objectSchema, dataKeys: objectSchema }),
});

/** An archived day, described so that it can be restored into another database: docs/formats.md "Archive". */
export type Manifest = z.output<typeof manifestSchema>;
export type ArchivedObject = z.output<typeof objectSchema>;

/** `user_logins/2026-08-01/`: the folder of a day. */
export function archiveFolder(table: string, day: Day): string {
  return `${table}/${day}/`;
}

/** `user_logins/2026-08-01/manifest.json`: written last, it says which objects of the folder count. */
export function manifestName(table: string, day: Day): string {
  return `${archiveFolder(table, day)}manifest.json`;
}

/** The same manifest is the same bytes. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifestSchema.parse(manifest), undefined, 2)}\n`);
}

/** @throws PipelineError ARCHIVE_DAMAGED unless it is a manifest of that table and day */
export function parseManifest(content: Buffer, table: string, day: Day): Manifest {
  const name = manifestName(table, day);
  let json: unknown;
  try {
    json = JSON.parse(content.toString('utf8'));
  } catch {
    throw new PipelineError('ARCHIVE_DAMAGED', `${name} is not JSON`);
  }
  const { data } = manifestSchema.safeParse(json);
  if (data === undefined) throw new PipelineError('ARCHIVE_DAMAGED', `${name} is not a manifest of format 1`);
  if (data.table !== table || data.day !== day) {
    throw new PipelineError('ARCHIVE_DAMAGED', `${name} describes another day or table`);
  }
  return data;
}

/**
 * A name for a new copy that leaves the one in use alone, so that **what a manifest names is whole at every moment**:
 * `rows.csv.zst`, or `rows.2.csv.zst` where the manifest names the former.
 */
export function freshName(kind: 'rows' | 'data-keys', inUse: Manifest | undefined): string {
  const plain = `${kind}.csv.zst`;
  const objects = inUse?.objects;
  const taken = objects?.rows.name === plain || objects?.dataKeys.name === plain;
  return taken ? `${kind}.2.csv.zst` : plain;
}
