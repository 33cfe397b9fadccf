const quote = 0x22;
const newline = 0x0a;

/**
 * Counts the records of a CSV as Postgres writes it, piece by piece: lines whose end is not inside quotes. A quote within a value is
 * doubled, which leaves the count of quotes even.
 */
export class CsvRecordCounter {
  #records = 0;
  #quoted = false;

  /** Records that have ended so far, the header line included. */
  get records(): number {
    return this.#records;
  }

  /** True between records: what is cut off within one is damaged. */
  get complete(): boolean {
    return !this.#quoted && this.#endedWithNewline;
  }

  #endedWithNewline = true;

  update(chunk: Uint8Array): void {
    let records = 0;
    let quoted = this.#quoted;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === quote) quoted = !quoted;
      else if (byte === newline && !quoted) records += 1;
    }
    this.#records += records;
    this.#quoted = quoted;
    if (chunk.length > 0) this.#endedWithNewline = chunk[chunk.length - 1] === newline;
  }
}
