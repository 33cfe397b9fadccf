import { expect, test } from 'vitest';
import { archiveSlice, environmentSlice, parseConfig } from '../../../shared/config.ts';
import { vaultSlice } from '../../../shared/vault/vault-config.ts';

const shape = { ...environmentSlice, ...vaultSlice, ...archiveSlice };
const good = {
  SLUICE_ENV: 'prod',
  VAULT_URL: 'aws-sm://eu-central-1/sluice/prod',
  ARCHIVE_URL: 's3://bucket/archive',
  AWS_REGION: 'eu-central-1',
};

test('a vault and an archive in AWS are settings for production', () => {
  expect(parseConfig(good, shape)).toMatchObject(good);
});

test.each([
  ['VAULT_URL', 'aws-sm://eu-central-1', 'VAULT_URL must be file:DIRECTORY'],
  ['VAULT_URL', 'aws-sm://eu-central-1/a b', 'VAULT_URL must be file:DIRECTORY'],
  ['ARCHIVE_URL', 's3://Bucket/x', 'ARCHIVE_URL must be file:DIRECTORY or s3://BUCKET/PREFIX'],
  ['ARCHIVE_URL', 's3://bucket/a?b', 'ARCHIVE_URL must be file:DIRECTORY or s3://BUCKET/PREFIX'],
  ['AWS_ENDPOINT_URL_SECRETS_MANAGER', 'http://vault.example', 'must be https in prod'],
  ['AWS_ENDPOINT_URL_S3', 'http://s3.example', 'must be https in prod'],
  ['AWS_ENDPOINT_URL_S3', 'https://localhost:9000', 'must not be this machine in prod'],
])('%s=%s is refused', (name, value, problem) => {
  expect(() => parseConfig({ ...good, [name]: value }, shape)).toThrow(problem);
});
