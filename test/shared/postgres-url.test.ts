import { describe, expect, test } from 'vitest';
import { environmentSlice, parseConfig, postgresUrl } from '../../shared/config.ts';
import { editPostgresUrl, isEncrypted, parsePostgresUrl } from '../../shared/postgres-url.ts';

describe('a database URL', () => {
  test.for([
    ['postgres://u:p@h/db', ['postgres://u:p@h/db'], 'any'],
    ['postgresql://u@/db', ['postgresql://u@/db'], 'any'],
    ['postgres:///db?host=%2Frun%2Fpostgresql', ['postgres:///db?host=%2Frun%2Fpostgresql'], 'any'],
    ['postgres://u:p%40%2C%2F@h:1/db', ['postgres://u:p%40%2C%2F@h:1/db'], 'any'],
    [
      'postgres://u:p@h1:5432,h2:5433/db?sslmode=verify-full&target_session_attrs=read-write',
      [
        'postgres://u:p@h1:5432/db?sslmode=verify-full&target_session_attrs=read-write',
        'postgres://u:p@h2:5433/db?sslmode=verify-full&target_session_attrs=read-write',
      ],
      'read-write',
    ],
    [
      'postgres://a,b:c,d@h1,[2001:db8::1]:5433,10.0.0.3?target_session_attrs=primary',
      [
        'postgres://a,b:c,d@h1?target_session_attrs=primary',
        'postgres://a,b:c,d@[2001:db8::1]:5433?target_session_attrs=primary',
        'postgres://a,b:c,d@10.0.0.3?target_session_attrs=primary',
      ],
      'primary',
    ],
  ] as const)('%s', ([text, servers, attrs]) => {
    expect(parsePostgresUrl(text)).toEqual({ servers, attrs });
  });

  test.for([
    ['mysql://canary@h/db', 'must be a postgres:// URL'],
    ['canary', 'must be a postgres:// URL'],
    ['postgres://u:canary@h1:5432,/db', 'must name each of its servers as HOST:PORT, comma-separated'],
    ['postgres://u:canary@h1:5432,h2:99999/db', 'must name each of its servers'],
    ['postgres://u:canary@h1:5432,h2:0/db', 'must name each of its servers'],
    ['postgres://u:canary@h1:5432:h2,h3/db', 'must name each of its servers'],
    ['postgres://u:canary@h1:port/db', 'must be a postgres:// URL, with %-escapes for what is special'],
    ['postgres://u:canary/2@h1/db', 'must be a postgres:// URL, with %-escapes for what is special'],
    ['postgres:///db?host=canary,h2', 'must name several servers before its path'],
    [
      'postgres://h1,h2/db?target_session_attrs=canary',
      'has a target_session_attrs that is none of any, read-write',
    ],
    ['postgres://h1,h2/db?target_session_attrs=prefer-standby', 'has a target_session_attrs that is none of'],
  ] as const)('%s is refused, by the name of its setting and without its value', ([text, problem]) => {
    const parse = () => parseConfig({ DATABASE_URL: text }, { DATABASE_URL: postgresUrl });
    expect(parse).toThrow(`DATABASE_URL ${problem}`);
    expect(parse).not.toThrow('canary');
  });

  test('is edited without its servers being touched', () => {
    const edited = editPostgresUrl('postgres://u:p@h1:1,[::1]:2/db?target_session_attrs=primary', (url) => {
      url.username = 'other';
      url.pathname = '/elsewhere';
    });
    expect(edited).toBe('postgres://other:p@h1:1,[::1]:2/elsewhere?target_session_attrs=primary');
  });

  test.for([
    ['postgres://h/db', false],
    ['postgres://h/db?sslmode=prefer', false],
    ['postgres://h/db?sslmode=no-verify', false],
    ['postgres://h/db?ssl=true&sslmode=disable', false],
    ['postgres://h/db?sslmode=verify-full', true],
    ['postgres://h1,h2/db?a=b&sslmode=require', true],
    ['postgres://h/db?ssl=true', true],
  ] as const)('%s: encrypted for certain %s', ([text, encrypted]) => {
    expect(isEncrypted(text)).toBe(encrypted);
  });
});

test.for([
  ['prod', 'prefer', 'DATABASE_URL must say sslmode=verify-full in prod'],
  ['prod', 'verify-full', undefined],
  ['qa', 'prefer', undefined],
] as const)('%s and sslmode=%s: refused with %s', ([SLUICE_ENV, mode, refusal]) => {
  const env = { SLUICE_ENV, DATABASE_URL: `postgres://h1,h2/db?sslmode=${mode}` };
  const refused = () => {
    try {
      parseConfig(env, { ...environmentSlice, DATABASE_URL: postgresUrl });
    } catch (error) {
      return error instanceof Error ? error.message : 'no error';
    }
    return undefined;
  };
  expect(refused()?.includes(refusal ?? '')).toBe(refusal === undefined ? undefined : true);
});
