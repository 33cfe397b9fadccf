import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ColumnBlanker } from '../../../shared/archive/blank-columns.ts';

/** A cell as Postgres writes it: null is nothing, the empty string is `""`. */
function cell(value: string | null): string {
  if (value === null) return '';
  return value === '' || /[",\n\r\\]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

function csv(header: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  return [header, ...rows].map((row) => `${row.map((value) => cell(value)).join(',')}\n`).join('');
}

function run(text: string, columns: readonly string[], pieceBytes: number) {
  const blanker = new ColumnBlanker(columns);
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    out.push(Buffer.from(blanker.push(bytes.subarray(at, at + pieceBytes))));
  }
  return { text: Buffer.concat(out).toString(), found: blanker.found, started: blanker.started };
}

describe('empties the columns it is told to', () => {
  test('and leaves the header and every other byte', () => {
    const text = 'id,masked_ip,note\n1,t1:aa,"x, ""y""\nz"\n2,,\n3,"",plain\n';
    expect(run(text, ['masked_ip'], 1_000)).toEqual({
      text: 'id,masked_ip,note\n1,,"x, ""y""\nz"\n2,,\n3,,plain\n',
      found: 2,
      started: true,
    });
  });

  test('a second time there is nothing to find', () => {
    const once = run('a,b\n1,x\n2,y\n', ['b'], 3);
    expect(once.found).toBe(2);
    expect(run(once.text, ['b'], 3)).toEqual({ text: once.text, found: 0, started: true });
  });

  test('whatever is in the cells, and wherever the pieces end', () => {
    const value = fc.option(fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r', '\\', ' ') }), {
      nil: null,
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(value, value, value, value), { maxLength: 8 }),
        fc.subarray(['c0', 'c1', 'c2', 'c3']),
        fc.integer({ min: 1, max: 40 }),
        (rows, blank, pieceBytes) => {
          const header = ['c0', 'c1', 'c2', 'c3'];
          const blanked = rows.map((row) => row.map((one, i) => (blank.includes(`c${i}`) ? null : one)));
          const found = rows.flatMap((row) =>
            row.filter((one, i) => one !== null && blank.includes(`c${i}`)),
          );
          expect(run(csv(header, rows), blank, pieceBytes)).toEqual({
            text: csv(header, blanked),
            found: found.length,
            started: true,
          });
        },
      ),
    );
  });
});

test('a file without such a column is not taken for one without tokens', () => {
  expect(() => new ColumnBlanker(['masked_ip']).push(Buffer.from('id,other\n1,2\n'))).toThrow(
    expect.objectContaining({ code: 'ARCHIVE_DAMAGED' }),
  );
});
