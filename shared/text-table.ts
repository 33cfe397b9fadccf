import { printable } from './printable.ts';

/**
 * Lines of columns, each as wide as its widest cell; the last is not padded. Safe for a terminal. Columns from `numbersFrom` on are numbers, and stand
 * at the right.
 */
export function tableLines(rows: readonly (readonly string[])[], numbersFrom = Infinity): string[] {
  const safe = rows.map((row) => row.map((cell) => printable(cell)));
  const widths: number[] = [];
  for (const row of safe) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const padded = (cell: string, i: number) =>
    i >= numbersFrom ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
  return safe.map((row) => row.map(padded).join('  ').trimEnd());
}

/** {@link tableLines} as one text, with a line feed behind each. */
export function table(rows: readonly (readonly string[])[], numbersFrom = Infinity): string {
  return tableLines(rows, numbersFrom)
    .map((line) => `${line}\n`)
    .join('');
}
