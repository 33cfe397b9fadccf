import { describe, expect, test } from 'vitest';
import { environmentSlice, parseConfig } from '../../../shared/config.ts';
import { loginOf } from '../../../shared/vault/kv2-login.ts';
import { openStore } from '../../../shared/vault/open-vault.ts';
import { vaultSlice } from '../../../shared/vault/vault-config.ts';

const url = { VAULT_URL: 'vault+https://vault.example:8200/sluice' };

describe('exactly one way to log in', () => {
  test.each([
    [{ VAULT_TOKEN: 'hvs.a' }, { by: 'token', token: 'hvs.a' }],
    [{ VAULT_TOKEN_FILE: '/run/token' }, { by: 'file', file: '/run/token' }],
    [
      { VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's' },
      { by: 'approle', mount: 'approle', roleId: 'r', secretId: { text: 's' } },
    ],
    [
      { VAULT_ROLE_ID: 'r', VAULT_SECRET_ID_FILE: '/run/s', VAULT_AUTH_MOUNT: 'apps' },
      { by: 'approle', mount: 'apps', roleId: 'r', secretId: { file: '/run/s' } },
    ],
    [
      { VAULT_KUBERNETES_ROLE: 'writer' },
      {
        by: 'kubernetes',
        mount: 'kubernetes',
        role: 'writer',
        file: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      },
    ],
    [
      { VAULT_KUBERNETES_ROLE: 'writer', VAULT_KUBERNETES_TOKEN_FILE: '/t', VAULT_AUTH_MOUNT: 'k8s/eu' },
      { by: 'kubernetes', mount: 'k8s/eu', role: 'writer', file: '/t' },
    ],
  ])('%o', (variables, login) => {
    expect(loginOf({ ...url, ...variables })).toEqual(login);
  });

  test.each([
    [{}, /none is set/],
    [{ VAULT_SECRET_ID: 'secret-1' }, /none is set/],
    [{ VAULT_TOKEN: 'secret-1', VAULT_TOKEN_FILE: '/secret-2' }, /2 are set/],
    [{ VAULT_TOKEN: 'secret-1', VAULT_KUBERNETES_ROLE: 'secret-2' }, /2 are set/],
    [{ VAULT_ROLE_ID: 'secret-1' }, /exactly one of VAULT_SECRET_ID and VAULT_SECRET_ID_FILE/],
    [
      { VAULT_ROLE_ID: 'secret-1', VAULT_SECRET_ID: 'secret-2', VAULT_SECRET_ID_FILE: '/secret-3' },
      /exactly one/,
    ],
  ])('%o is refused by name and never by value', async (variables, message) => {
    const opening = openStore({ ...url, ...variables });
    await expect(opening).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
    await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining('secret-') });
  });
});

describe('VAULT_URL', () => {
  const parse = (VAULT_URL: string, more = {}) => parseConfig({ VAULT_URL, ...more }, { ...vaultSlice });

  test.each([
    'file:/var/lib/vault',
    'vault+https://vault.example/sluice',
    'vault+https://vault.example:8200/team%2Fkv/prod/eu',
    'vault+http://127.0.0.1:8200/sluice',
  ])('%s', (text) => {
    expect(parse(text).VAULT_URL).toBe(text);
  });

  test.each([
    'https://vault.example/sluice',
    'vault+https://vault.example',
    'vault+https://vault.example/',
    'vault+https://root:secret@vault.example/sluice',
    'vault+https://vault.example/sluice?token=secret',
    'vault+ftp://vault.example/sluice',
  ])('%s is refused', (text) => {
    expect(() => parse(text)).toThrow('VAULT_URL must be');
    expect(() => parse(text)).not.toThrow('secret');
  });

  test.each([
    'vault+https://v.example/sl%20uice',
    'vault+https://v.example/a/%2e%2e%2fb',
    'vault+https://v.example//',
  ])('%s passes the pattern and is refused when it is opened', async (text) => {
    await expect(openStore({ VAULT_URL: text, VAULT_TOKEN: 't' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test('prod refuses a vault without TLS, and one on this machine', () => {
    const prod = (VAULT_URL: string) => () =>
      parseConfig({ SLUICE_ENV: 'prod', VAULT_URL }, { ...environmentSlice, ...vaultSlice });
    expect(prod('vault+http://vault.example:8200/sluice')).toThrow('VAULT_URL must be https in prod');
    expect(prod('vault+https://127.0.0.1:8200/sluice')).toThrow('VAULT_URL must not be this machine in prod');
    expect(prod('vault+https://vault.example:8200/sluice')).not.toThrow();
  });
});
