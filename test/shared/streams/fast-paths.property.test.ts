import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appVersionNumber } from '../../../shared/streams/app-version.ts';
import { canonicalIp } from '../../../shared/streams/ip-address.ts';

/** What the loops were written for, as patterns: they must agree on anything. */
const versionPattern = /^(\d{1,4})\.(\d{1,3})(?:\.(\d{1,3}))?$/;
const ipv4Pattern = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

const digitsAndDots = fc.string({ unit: fc.constantFrom(...Array.from('0123456789.')), maxLength: 18 });
const nearly = fc.string({ unit: fc.constantFrom(...Array.from('0125.. -ex\n\u0660')), maxLength: 16 });
const part = fc.oneof(
  fc.nat(300).map(String),
  fc.constantFrom('00', '01', '255', '256', '2146', '2147', '999', '1000'),
);
const parts = fc.array(part, { minLength: 1, maxLength: 5 }).map((list) => list.join('.'));
const text = fc.oneof(parts, digitsAndDots, nearly);

describe('parsing by a loop', () => {
  it('finds the app versions that the pattern finds', () => {
    fc.assert(
      fc.property(text, (given) => {
        const found = versionPattern.exec(given);
        const major = Number(found?.[1]);
        const expected =
          found === null || major > 2146
            ? undefined
            : major * 1_000_000 + Number(found[2]) * 1_000 + Number(found[3] ?? 0);
        expect(appVersionNumber(given)).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
  });

  it('finds the IPv4 addresses that the pattern finds', () => {
    fc.assert(
      fc.property(text, (given) => {
        const found = ipv4Pattern.exec(given);
        const valid = found !== null && found.slice(1).every((one) => Number(one) <= 255);
        expect(canonicalIp(given)).toBe(valid ? given : undefined);
      }),
      { numRuns: 5_000 },
    );
  });
});
