import { expect, test } from 'vitest';
import { unprivileged } from '../../../services/local-stack/postgres-user.ts';

test('postgres before nobody, never root', () => {
  const passwd = [
    'root:x:0:0:root:/root:/bin/bash',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
    'postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash',
    '',
  ].join('\n');
  expect(unprivileged(passwd)).toEqual([
    { uid: 101, gid: 104 },
    { uid: 65534, gid: 65534 },
  ]);
});

test('an account that is root under another name does not count', () => {
  expect(unprivileged('postgres:x:0:0::/:/bin/sh\n')).toEqual([]);
  expect(unprivileged('')).toEqual([]);
});
