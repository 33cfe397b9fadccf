import { expect, test } from 'vitest';
import { parsePolicy, permits, type Policy } from './iam.ts';

const policy = (
  ...statements: { effect?: 'Allow' | 'Deny'; action: string; resource: string }[]
): Policy => ({
  Version: '2012-10-17',
  Statement: statements.map(({ effect = 'Allow', action, resource }) => ({
    Sid: 'x',
    Effect: effect,
    Action: [action],
    Resource: [resource],
  })),
});

test.each([
  ['s3:GetObject', 'arn:a/*', 's3:GetObject', 'arn:a/b/c', true],
  ['s3:GetObject', 'arn:a/*', 's3:getobject', 'arn:a/', true],
  ['s3:Get*', 'arn:a/?', 's3:GetObject', 'arn:a/b', true],
  ['s3:GetObject', 'arn:a/?', 's3:GetObject', 'arn:a/bc', false],
  ['s3:GetObject', 'arn:a/*', 's3:GetObjectVersion', 'arn:a/b', false],
  ['s3:GetObject', 'arn:a.c', 's3:GetObject', 'arn:abc', false],
  ['s3:GetObject', 'arn:a/*', 's3:GetObject', '*', false],
  ['s3:ListBucket', '*', 's3:ListBucket', '*', true],
])('%s on %s: %s on %s is %s', (action, resource, asked, of, expected) => {
  expect(permits(policy({ action, resource }), asked, of)).toBe(expected);
});

test('one that denies outweighs any that allow', () => {
  const both = policy({ action: '*', resource: '*' }, { effect: 'Deny', action: 's3:*', resource: 'arn:a' });
  expect(permits(both, 's3:GetObject', 'arn:a')).toBe(false);
  expect(permits(both, 's3:GetObject', 'arn:b')).toBe(true);
});

test.each(['Condition', 'NotAction', 'NotResource', 'Principal'])(
  'a statement with %s is refused',
  (name) => {
    const [statement] = policy({ action: 'a', resource: 'b' }).Statement;
    const text = JSON.stringify({ Version: '2012-10-17', Statement: [{ ...statement, [name]: 'x' }] });
    expect(() => parsePolicy(text)).toThrow(name);
  },
);
