import { createHash } from 'node:crypto';

/** An entry of the access log as it is stored. What the columns do not allow (null, an infinite time) is undefined. */
export interface LogEntry {
  readonly id: bigint;
  /** Microseconds since 1970. */
  readonly atUs: bigint | undefined;
  readonly actor: string | undefined;
  readonly action: string | undefined;
  readonly reason: string | undefined;
  readonly ticket: string | undefined;
  readonly subject: string | undefined;
  readonly prevHash: Buffer | undefined;
  readonly hash: Buffer | undefined;
}

/** An entry's place in the chain: who kept it can tell whether anything up to it was changed since. */
export interface Head {
  readonly id: bigint;
  /** 32 bytes. */
  readonly hash: Buffer;
}

/** The head of a log without entries, which its first entry follows. */
export const emptyHead: Head = { id: 0n, hash: Buffer.alloc(32) };

export interface Finding {
  /** The first entry that is not what it was, or that is not there. */
  readonly id: bigint;
  /** `changed`: not what its hash says. `missing`, `order`: ids have a hole, or do not rise. `link`: it follows another entry than it did. `head`: it contradicts a head. */
  readonly kind: 'changed' | 'missing' | 'order' | 'link' | 'head';
  readonly message: string;
}

/**
 * The hash of an entry that follows `previous`, computed from nothing but its columns (the database computes the same in
 * db/migrations/0005_access_log.sql, and this never asks it):
 *
 *     sha256(previous | int64 id | int64 microseconds of at | text actor | text action | text reason | text ticket | text subject)
 *
 * where integers are big-endian and text is its length in bytes as int32, then UTF-8. Undefined when a column holds nothing.
 */
export function hashOfEntry(entry: LogEntry, previous: Buffer): Buffer | undefined {
  const { id, atUs, actor, action, reason, ticket, subject } = entry;
  if (atUs === undefined) return undefined;
  const hash = createHash('sha256').update(previous).update(int64(id)).update(int64(atUs));
  for (const text of [actor, action, reason, ticket, subject]) {
    if (text === undefined) return undefined;
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest();
}

/**
 * Walks a log in the order of its ids and finds the first entry that was changed, removed, put in, moved or renumbered, and the first that
 * contradicts a head kept from before. **Holds one entry, whatever the length of the log.** Entries cut from the end show
 * only against a head.
 */
export class ChainVerifier {
  readonly #heads: readonly Head[];
  #nextHead = 0;
  #last: Head = emptyHead;

  /** `heads`: those that were kept, in any order. */
  constructor(heads: readonly Head[] = []) {
    this.#heads = heads.toSorted((a, b) => Number(a.id - b.id));
  }

  /** The last entry that holds. */
  get head(): Head {
    return this.#last;
  }

  /** Takes the next entry. After a finding nothing behind it can be said to hold. */
  next(entry: LogEntry): Finding | undefined {
    const early = this.#contradiction();
    if (early !== undefined) return early;
    const { id } = entry;
    const expected = this.#last.id + 1n;
    if (id > expected) {
      const what = id === expected + 1n ? `entry ${expected} is` : `entries ${expected} to ${id - 1n} are`;
      return { id: expected, kind: 'missing', message: `${what} missing` };
    }
    if (id < expected) return { id, kind: 'order', message: `entry ${id} is there twice, or out of order` };
    if (entry.prevHash?.equals(this.#last.hash) !== true) {
      const message = `entry ${id} does not follow ${this.#last.id === 0n ? 'the beginning' : `entry ${this.#last.id}`}: something before it was removed, put in or moved, or its prev_hash was changed`;
      return { id, kind: 'link', message };
    }
    const hash = hashOfEntry(entry, this.#last.hash);
    if (hash === undefined || entry.hash?.equals(hash) !== true) {
      return { id, kind: 'changed', message: `entry ${id} was changed: it does not have its hash` };
    }
    this.#last = { id, hash };
    return this.#contradiction();
  }

  /** Behind the last entry: heads of entries that are not there any more. */
  end(): Finding | undefined {
    const contradiction = this.#contradiction();
    if (contradiction !== undefined) return contradiction;
    const cut = this.#heads[this.#nextHead];
    if (cut === undefined) return undefined;
    const from = this.#last.id + 1n;
    const last = this.#heads.at(-1)?.id ?? cut.id;
    return {
      id: from,
      kind: 'head',
      message: `the log ends with entry ${this.#last.id}, but had ${last}: entries from ${from} on were removed`,
    };
  }

  /** Compares the heads of the last entry with it. */
  #contradiction(): Finding | undefined {
    for (; ; this.#nextHead++) {
      const head = this.#heads[this.#nextHead];
      if (head === undefined || head.id > this.#last.id) return undefined;
      if (head.id === this.#last.id && head.hash.equals(this.#last.hash)) continue;
      const { id } = head;
      return {
        id,
        kind: 'head',
        message: `entry ${id} is not what it was when its hash was kept: it, or one before it, was changed and the chain made anew`,
      };
    }
  }
}

/** `12:<hash in hex>`, as it is printed and kept; undefined when it is no head. */
export function parseHead(text: string): Head | undefined {
  const [, id, hash] = /^(0|[1-9]\d{0,17}):([0-9a-f]{64})$/.exec(text.trim()) ?? [];
  return id === undefined || hash === undefined
    ? undefined
    : { id: BigInt(id), hash: Buffer.from(hash, 'hex') };
}

export function formatHead({ id, hash }: Head): string {
  return `${id}:${hash.toString('hex')}`;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
