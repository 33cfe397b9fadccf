import { PipelineError } from '../errors.ts';

const quote = 0x22;
const comma = 0x2c;
const newline = 0x0a;
/** Names of columns, and nothing else: far less than this. */
const maxHeaderBytes = 65_536;

/**
 * Empties columns of a CSV as Postgres writes it, piece by piece: `a,b\n1,"x,y"\n` without `b` is `a,b\n1,\n`. An empty cell is null to
 * Postgres (`""` is the empty string, and is emptied too). Everything else stays as it is, byte for byte.
 *
 * @throws PipelineError ARCHIVE_DAMAGED when the header line lacks one of the columns
 */
export class ColumnBlanker {
  readonly #columns: ReadonlySet<string>;
  #header: Buffer[] = [];
  #headerBytes = 0;
  #headerDone = false;
  /** By position: whether that column is emptied. */
  #blank: readonly boolean[] = [];
  #column = 0;
  #quoted = false;
  /** Whether the cell under way has shown a byte. */
  #filled = false;
  #found = 0;

  constructor(columns: readonly string[]) {
    this.#columns = new Set(columns);
  }

  /** Cells of those columns that held something, so far. */
  get found(): number {
    return this.#found;
  }

  /** True once the header line has been seen whole. */
  get started(): boolean {
    return this.#headerDone;
  }

  /** What is left of the next piece. */
  push(chunk: Uint8Array): Buffer {
    const start = this.#headerDone ? 0 : this.#readHeader(chunk);
    const kept = Buffer.allocUnsafe(chunk.length);
    kept.set(chunk.subarray(0, start));
    let length = start;
    let blanking = this.#blank[this.#column] === true;
    for (let i = start; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      if (byte === quote) this.#quoted = !this.#quoted;
      else if (!this.#quoted && (byte === comma || byte === newline)) {
        if (blanking && this.#filled) this.#found += 1;
        this.#filled = false;
        this.#column = byte === comma ? this.#column + 1 : 0;
        blanking = this.#blank[this.#column] === true;
        kept[length++] = byte;
        continue;
      }
      if (blanking) this.#filled = true;
      else kept[length++] = byte;
    }
    return kept.subarray(0, length);
  }

  /** Returns where the first row begins, or the length of the piece. */
  #readHeader(chunk: Uint8Array): number {
    const end = chunk.indexOf(newline);
    const part = end === -1 ? chunk : chunk.subarray(0, end);
    this.#header.push(Buffer.from(part));
    this.#headerBytes += part.length;
    if (this.#headerBytes > maxHeaderBytes) throw damaged();
    if (end === -1) return chunk.length;
    const names = Buffer.concat(this.#header)
      .toString('utf8')
      .split(',')
      .map((name) => name.replace(/^"(.*)"$/, '$1'));
    for (const column of this.#columns) if (!names.includes(column)) throw damaged();
    this.#blank = names.map((name) => this.#columns.has(name));
    this.#header = [];
    this.#headerDone = true;
    return end + 1;
  }
}

function damaged(): PipelineError {
  return new PipelineError('ARCHIVE_DAMAGED', 'the rows in the archive have not the columns they should');
}
