import { describe, expect, test } from 'vitest';
import { parsePurpose, parseSelection, subjectOf } from '../../../services/recover/selection.ts';

const id = 'AAAAAAAA-1111-4111-8111-111111111111';
const token = 't12:YsI8h4m5s-yp_aNYsfm_vw';
const range = { from: '2026-11-01', to: '2026-11-24' };

describe('the subject, in the words of the access log', () => {
  test.for([
    [{ eventId: id }, id.toLowerCase()],
    [{ eventId: id, day: '2026-11-24' }, id.toLowerCase()],
    [{ userId: 'U 7', ...range }, 'user:U 7 2026-11-01..2026-11-24'],
    [{ token, ...range }, `token:${token} 2026-11-01..2026-11-24`],
    [{ userId: 'u', from: range.from, to: range.from }, 'user:u 2026-11-01..2026-11-01'],
  ] as const)('%j', ([options, subject]) => {
    expect(subjectOf(parseSelection(options))).toBe(subject);
  });

  test('a user id that looks like a range does not say the same as another selection', () => {
    const tricky = subjectOf(parseSelection({ userId: 'u 2026-01-01..2026-01-02', ...range }));
    expect(tricky).not.toBe(subjectOf(parseSelection({ userId: 'u', ...range })));
  });
});

describe('refused', () => {
  test.for([
    [{}, 'one of'],
    [{ eventId: id, userId: 'u', ...range }, 'one of'],
    [{ userId: 'u', token, ...range }, 'one of'],
    [{ eventId: 'x' }, 'not a UUID'],
    [{ eventId: id, day: '2026-02-30' }, '--day'],
    [{ eventId: id, ...range }, '--from and --to go with'],
    [{ userId: 'u' }, 'give --from and --to'],
    [{ userId: 'u', from: range.from }, 'give --from and --to'],
    [{ userId: 'u', day: '2026-11-24', ...range }, '--day goes with'],
    [{ userId: 'u', from: '2026-13-01', to: range.to }, '--from'],
    [{ userId: 'u', from: range.from, to: '1 Nov' }, '--to'],
    [{ userId: 'u', from: range.to, to: range.from }, 'after --to'],
    [{ userId: '', ...range }, '--user-id'],
    [{ userId: 'a\u0000', ...range }, '--user-id'],
    [{ userId: 'x'.repeat(129), ...range }, '--user-id'],
    [{ token: 'YsI8h4m5s-yp_aNYsfm_vw', ...range }, '--token'],
    [{ token: 't0:YsI8h4m5s-yp_aNYsfm_vw', ...range }, '--token'],
    [{ token: `${token}x`, ...range }, '--token'],
    [{ token: '203.0.113.9', ...range }, '--token'],
  ] as const)('%j: %s', ([options, why]) => {
    expect(() => parseSelection(options)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(why) }),
    );
  });

  test.for([
    [{ ticket: 'T-1' }, '--reason'],
    [{ reason: '  ', ticket: 'T-1' }, '--reason'],
    [{ reason: 'asked' }, '--ticket'],
    [{ reason: 'asked', ticket: '' }, '--ticket'],
    [{ reason: 'x'.repeat(1_001), ticket: 'T-1' }, '--reason'],
    [{ reason: 'a\u0000b', ticket: 'T-1' }, '--reason'],
  ] as const)('%j: %s', ([options, why]) => {
    expect(() => parsePurpose(options)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(why) }),
    );
  });
});
