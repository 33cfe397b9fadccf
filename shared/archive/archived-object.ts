import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream';
import { pipeline as pipelineDone } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { PipelineError } from '../errors.ts';
import { CsvRecordCounter } from './csv-records.ts';
import type { ArchivedObject } from './manifest.ts';
import type { ArchivePlace, Stored } from './place.ts';

/** zstd's default: sealed cells are noise written in hexadecimal, of which any level makes the half. */
const level = 3;

/**
 * Stores a CSV, with a header line, compressed, as `folder` + `name`, replacing what was there. Memory is bounded, and the same CSV becomes the
 * same bytes.
 *
 * @throws what reading `csv` throws, and PipelineError of the place.
 */
export async function writeObject(
  place: ArchivePlace,
  folder: string,
  name: string,
  csv: AsyncIterable<Uint8Array>,
): Promise<ArchivedObject> {
  const measure = new Measure();
  const failed: unknown[] = [];
  let stored: Stored | undefined;
  async function* measured() {
    try {
      for await (const chunk of csv) {
        measure.update(chunk);
        yield chunk;
      }
    } catch (error) {
      failed.push(error);
      throw error;
    }
  }
  const compress = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  try {
    await pipelineDone(measured(), compress, async (compressed: AsyncIterable<Uint8Array>) => {
      stored = await place.put(folder + name, compressed);
    });
  } catch (error) {
    // What broke first is the reason; a place sees only that its content ended.
    throw failed.length > 0 ? failed[0] : error;
  }
  if (stored === undefined) throw new PipelineError('INTERNAL', 'nothing was stored');
  return { name, rows: measure.rows, ...stored, ...measure.plain() };
}

/**
 * The CSV of a stored object, decompressed on the way. **Complete only when it has been read to its end without an error**: whatever
 * differs from `object` (absent, cut off, longer, a byte changed, another number of records) throws, at the latest there.
 *
 * @throws PipelineError ARCHIVE_DAMAGED, ARCHIVE_UNAVAILABLE, ARCHIVE_FORBIDDEN
 */
export async function* readObject(
  place: ArchivePlace,
  folder: string,
  object: ArchivedObject,
): AsyncGenerator<Buffer, void, undefined> {
  const name = folder + object.name;
  const damaged = (what: string) => new PipelineError('ARCHIVE_DAMAGED', `${place.url}: ${name} ${what}`);
  const source = await place.get(name);
  if (source === undefined) throw damaged('is missing');
  const hash = createHash('sha256');
  let bytes = 0;
  async function* hashed(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      if (bytes > object.bytes) throw damaged('is longer than it was');
      yield chunk;
    }
    if (bytes < object.bytes) throw damaged('is cut off');
    if (hash.digest('hex') !== object.sha256) throw damaged('has changed');
  }
  const measure = new Measure();
  // The callback has nothing to say: the last stream ends with the same error.
  const plain = pipeline(source, hashed, createZstdDecompress(), () => {});
  try {
    // Node does not type the chunks of a stream of bytes.
    for await (const chunk of plain as AsyncIterable<Buffer>) {
      measure.update(chunk);
      if (measure.bytes > object.plainBytes) throw damaged('holds more than it did');
      yield chunk;
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw isZstdError(error) ? damaged('has changed') : new PipelineError('ARCHIVE_UNAVAILABLE', name);
  } finally {
    plain.destroy();
    source.destroy();
  }
  const { plainBytes, plainSha256 } = measure.plain();
  if (plainBytes !== object.plainBytes || plainSha256 !== object.plainSha256) throw damaged('has changed');
  if (!measure.complete || measure.rows !== object.rows) throw damaged('has another number of rows');
}

/** @throws PipelineError as {@link readObject} */
export async function verifyObject(
  place: ArchivePlace,
  folder: string,
  object: ArchivedObject,
): Promise<void> {
  for await (const _ of readObject(place, folder, object));
}

/** What a CSV amounts to, measured as it passes. */
export class Measure {
  readonly #hash = createHash('sha256');
  readonly #records = new CsvRecordCounter();
  bytes = 0;

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#records.update(chunk);
    this.bytes += chunk.length;
  }

  /** Without the header line. */
  get rows(): number {
    return Math.max(0, this.#records.records - 1);
  }

  get complete(): boolean {
    return this.#records.complete;
  }

  /** Once, at the end. */
  plain(): { plainBytes: number; plainSha256: string } {
    return { plainBytes: this.bytes, plainSha256: this.#hash.digest('hex') };
  }
}

/** Node names them `ZSTD_error_…`, and `Z_BUF_ERROR` or `ERR_…` for what ends too early. */
function isZstdError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(ZSTD_|Z_)/.test(error.code)
  );
}
