import { expect, test } from 'vitest';
import { allows, parsePolicy } from './vault-server-policy.ts';

const policy = parsePolicy(`
  # a comment
  path "kv/data/day/*" { capabilities = ["create", "read"] } // another
  path "kv/data/day/special" {
    capabilities = ["delete"] /* and
    another */
  }
  path "kv/data/day/denied*" { capabilities = ["deny"] }
  path "kv/metadata/day" { capabilities = ["list"] }
  path "kv/metadata/archive/*" { capabilities = ["list"] }
`);

test.each([
  ['read', 'kv/data/day/x', true],
  ['read', 'kv/data/day/x/y', true],
  ['update', 'kv/data/day/x', false],
  ['read', 'kv/data/day', false],
  ['read', 'kv/data/dayx', false],
  // The most specific rule alone decides.
  ['read', 'kv/data/day/special', false],
  ['delete', 'kv/data/day/special', true],
  ['read', 'kv/data/day/denied-1', false],
  // A list may be granted with and without the slash.
  ['list', 'kv/metadata/day/', true],
  ['list', 'kv/metadata/archive/', true],
  ['read', 'kv/metadata/archive/x', false],
  ['list', 'kv/metadata/', false],
] as const)('%s %s: %s', (capability, path, allowed) => {
  expect(allows([policy], capability, path)).toBe(allowed);
});

test('policies add up on equal paths, and deny beats them', () => {
  const more = parsePolicy('path "kv/data/day/*" { capabilities = ["update"] }');
  const deny = parsePolicy('path "kv/data/day/*" { capabilities = ["deny"] }');
  expect(allows([policy, more], 'update', 'kv/data/day/x')).toBe(true);
  expect(allows([policy, more], 'read', 'kv/data/day/x')).toBe(true);
  expect(allows([policy, deny], 'read', 'kv/data/day/x')).toBe(false);
});

test.each([
  'path "a" { capabilities = ["wirte"] }',
  'path "a" { capabilties = ["read"] }',
  'path "a*b" { capabilities = ["read"] }',
  'path "a" { capabilities = ["read"]',
  'paths "a" { capabilities = ["read"] }',
])('what is not a policy is an error: %s', (text) => {
  expect(() => parsePolicy(text)).toThrow('policy:');
});
