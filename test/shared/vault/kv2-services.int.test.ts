import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { kv2Store } from '../../../shared/vault/kv2-store.ts';
import { openStore } from '../../../shared/vault/open-vault.ts';
import { secretKinds } from '../../../shared/vault/secret-store.ts';
import { expectDelivered } from '../../helpers/invariants.ts';
import { createPipeline, eventually, type Pipeline } from '../../helpers/pipeline.ts';
import { sendAll } from '../../helpers/queues.ts';
import { settled } from '../../helpers/settle.ts';
import { startVaultServer, type VaultServer } from '../../helpers/vault-server.ts';
import { vaultAdmin } from '../../helpers/vault-server-setup.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const mount = 'sluice';
const logins = Array.from({ length: 10 }, (_, i) => ({
  user_id: `user-${i}`,
  app_version: '2.3.0',
  device_type: 'iOS',
  ip: `203.0.113.${i}`,
  locale: null,
  device_id: `device-${i}`,
}));
const bodies = logins.map((login) => JSON.stringify(login));

/** A pipeline whose keys lie in Vault, each of its processes with the credential of its role. */
interface Setup extends AsyncDisposable {
  readonly vault: VaultServer;
  readonly pipeline: Pipeline;
  /** Runs `sluice …` with that role's token. */
  run(role: string, ...args: string[]): ReturnType<Pipeline['run']>;
  /** Settings with a token of that role. */
  tokenFor(role: string): Promise<Record<string, string>>;
}

async function setUp(): Promise<Setup> {
  await using cleanup = new AsyncDisposableStack();
  const vault = cleanup.use(await startVaultServer());
  const directory = await mkdtemp(join(tmpdir(), 'kv2-services-'));
  cleanup.defer(() => rm(directory, { recursive: true }));
  const tokenFile = join(directory, 'token');
  const admin = vaultAdmin({ address: vault.address, token: vault.rootToken });
  const url = `vault+${vault.address}/${mount}`;
  const pipeline = cleanup.use(
    await createPipeline(servers, { partitions: 2, env: { VAULT_URL: url, VAULT_TOKEN_FILE: tokenFile } }),
  );
  await admin.mount(mount);
  await admin.policies(mount);
  await copyVault(`file:${pipeline.directory}/vault`, url, vault.rootToken);
  const owned = cleanup.move();
  return {
    vault,
    pipeline,
    async run(role, ...args) {
      await writeFile(tokenFile, await admin.tokenFor(mount, role));
      return pipeline.run(...args);
    },
    tokenFor: async (role) => ({ VAULT_TOKEN: await admin.tokenFor(mount, role), VAULT_TOKEN_FILE: '' }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What a pipeline of the tests was made with: its days are published already. */
async function copyVault(from: string, to: string, token: string): Promise<void> {
  const source = await openStore({ VAULT_URL: from });
  const target = await kv2Store({ VAULT_URL: to, VAULT_TOKEN: token });
  const listed = await Promise.all(
    secretKinds.filter((kind) => kind !== 'recoverer').map((kind) => source.list(kind)),
  );
  for (const name of ['recoverer/public' as const, ...listed.flat()]) {
    const value = await source.read(name);
    if (value !== undefined) await target.create(name, value);
  }
}

test('services that start while the vault is sealed wait for it, and go on while it is sealed again', async () => {
  await using setup = await setUp();
  const { pipeline, vault } = setup;
  const [connector, writer] = [await setup.tokenFor('connector'), await setup.tokenFor('writer')];
  vault.sealed = true;
  const processes = [await pipeline.start('connector', connector), await pipeline.start('writer', writer)];
  await eventually('both say that they wait', async () => {
    const lines = (await pipeline.logs()).split('\n').filter((line) => /"vault".*outage: waiting/.test(line));
    return lines.filter((line) => line.includes('VAULT_UNAVAILABLE')).length === 2;
  });
  const sent = await sendAll(pipeline.queue, bodies);
  expect(processes.map(({ ended }) => ended)).toEqual([undefined, undefined]);

  vault.sealed = false;
  await settled(pipeline);
  await expectDelivered(pipeline, new Set(sent));

  // The keys of today are at hand.
  vault.sealed = true;
  const more = await sendAll(pipeline.queue, bodies);
  await settled(pipeline);
  const { dead } = await expectDelivered(pipeline, new Set([...sent, ...more]));
  expect(dead).toHaveLength(0);

  expect(await Promise.all(processes.map((one) => one.kill('SIGTERM')))).toEqual([0, 0]);
});

test('told to stop while it waits for the vault, a service ends with 0', async () => {
  await using setup = await setUp();
  const { pipeline, vault } = setup;
  const tokens = { connector: await setup.tokenFor('connector'), writer: await setup.tokenFor('writer') };
  vault.trouble = { kind: 'slow' };
  for (const command of ['connector', 'writer'] as const) {
    const service = await pipeline.start(command, tokens[command]);
    await eventually('it waits', async () =>
      (await readFile(service.logFile, 'utf8')).includes('no answer in time'),
    );
    expect(await service.kill('SIGTERM')).toBe(0);
  }
});

test('a vault that forbids is a stop with one sentence', async () => {
  await using setup = await setUp();
  const { pipeline, vault } = setup;
  const tokens = { connector: await setup.tokenFor('connector'), writer: await setup.tokenFor('writer') };
  vault.tokens.revokeAll();
  for (const command of ['connector', 'writer'] as const) {
    const service = await pipeline.start(command, tokens[command]);
    await eventually('it ends', () => service.ended !== undefined);
    expect(service.ended).toBe(1);
  }
  expect(
    (await pipeline.logs()).match(/^sluice: .*The vault refused this credential\. \[VAULT_FORBIDDEN\]$/gm),
  ).toHaveLength(2);
});

test('migrate, maintain and recover work with the rights of their roles, and with no others', async () => {
  await using setup = await setUp();
  const { pipeline, vault } = setup;
  expect((await setup.run('migrate', 'migrate')).code).toBe(0);
  const maintained = await setup.run('keeper', 'maintain', '--json');
  expect([maintained.stderr, maintained.code]).toEqual(['', 0]);
  vault.sealed = true;
  const sealed = await pipeline.run('maintain');
  expect([sealed.code, sealed.stderr]).toEqual([3, expect.stringContaining('[VAULT_UNAVAILABLE]')]);
  vault.sealed = false;
  const asWriter = await setup.run('writer', 'maintain');
  expect(asWriter.code).toBe(1);
  expect(asWriter.stderr).toMatch(/it grants no "create" on data\/.*\[VAULT_FORBIDDEN\]/);

  for (const command of ['connector', 'writer'] as const) {
    await pipeline.start(command, await setup.tokenFor(command));
  }
  const [id = ''] = await sendAll(pipeline.queue, bodies);
  await settled(pipeline);
  const asked = ['recover', '--event-id', id, '--reason', 'test', '--ticket', 'T-1', '--json'];
  const recovered = await setup.run('recoverer', ...asked);
  expect(recovered.stdout).toContain(logins[0]?.ip);
  for (const role of ['writer', 'keeper', 'archivist', 'shredder', 'auditor']) {
    const refused = await setup.run(role, ...asked);
    expect([role, refused.code, refused.stderr.includes('[VAULT_FORBIDDEN]')]).toEqual([role, 1, true]);
    expect(refused.stdout).not.toContain(logins[0]?.ip);
  }
});
