import type { Readable } from 'node:stream';

/** What was stored, measured on the way in. */
export interface Stored {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Where archives lie: a directory or a bucket with a prefix. Names are relative, `user_logins/2026-08-01/rows.csv.zst`.
 *
 * All throw PipelineError: ARCHIVE_UNAVAILABLE when the place does not answer, ARCHIVE_FORBIDDEN when it refuses the credential.
 */
export interface ArchivePlace {
  /** For reports and the database, without credentials: `file:/srv/archive`, `s3://bucket/prefix`. */
  readonly url: string;
  /**
   * Stores the whole of `content` under `name`, replacing what was there; a failure on the way leaves what was there. Durable when it
   * resolves. What `content` itself throws is passed on as it is: the source has failed, not the place.
   */
  put(name: string, content: AsyncIterable<Uint8Array>): Promise<Stored>;
  /** A stream of what lies there, or undefined. It is the caller's to read to its end or destroy. */
  get(name: string): Promise<Readable | undefined>;
  /** Every name that starts with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
  /** Removes it for good: in a bucket that keeps versions, all of them. Nothing there is no error. */
  remove(name: string): Promise<void>;
}
