import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { seededRandom } from '../../services/demo/sample-logins.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { dayOf, horizonDays } from '../../shared/time.ts';
import {
  createFileVault,
  openDayPrivateKeys,
  openPeppers,
  openTransitKeys,
} from '../../shared/vault/open-vault.ts';
import { createDatabase } from '../helpers/database.ts';
import { everyPublishedKeyOpens, everyRowUnderItsDay, type ExpectedRow } from '../helpers/day-keys.ts';
import { createPipeline } from '../helpers/pipeline.ts';
import { TestWriter } from '../helpers/writer.ts';

const bin = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
const rounds = 10;

test(`kill −9 of maintain, ${rounds} times, wherever it is: what is published opens, nothing sealed is unreadable`, async () => {
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const servers = {
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  };
  await using pipeline = await createPipeline(servers);
  const reached: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using database = await createDatabase(servers.postgresAdminUrl);
    const vault = `${pipeline.directory}/vault-${round}`;
    const recoveryKeyFile = `${pipeline.directory}/recoverer-${round}.key`;
    await createFileVault(vault, recoveryKeyFile);
    const env = { ...pipeline.env, ADMIN_DATABASE_URL: database.urls.admin, VAULT_URL: `file:${vault}` };
    const days = horizonDays(dayOf(Date.now()));

    // A pepper, and a transit key and a private key a day: killed when there are so many, or a little later.
    const secrets = Math.floor(random() * (2 * days.length + 1)) + 1;
    const child = spawn(process.execPath, [bin, 'maintain'], { env, stdio: 'ignore' });
    const ended = once(child, 'exit');
    while (child.exitCode === null && secretsIn(vault) < secrets) await sleep(1);
    await sleep(random() * 4);
    child.kill('SIGKILL');
    await ended;

    const admin = database.open('admin');
    const config = { VAULT_URL: `file:${vault}` };
    const keys = await openDayPrivateKeys(config, recoveryKeyFile);
    const published = await everyPublishedKeyOpens(admin, keys);
    reached.push(published.size);
    // Whatever is published may be used at once.
    const peppers = await openPeppers(config);
    const transitKeys = await openTransitKeys(config);
    await using writer = new TestWriter({
      connection: database.open('writer'),
      vault: { ...transitKeys, ...peppers },
      clock: Date.now,
    });
    const expected = new Map<string, ExpectedRow>();
    const seal = async () => {
      for (const day of (await everyPublishedKeyOpens(admin, keys)).keys()) {
        const login = {
          eventId: crypto.randomUUID(),
          sentAtMs: Date.parse(`${day}T12:00:00Z`),
          ip: '203.0.113.9',
        };
        expected.set(login.eventId, login);
        await writer.writeLogins([login]);
      }
    };
    await seal();

    const again = spawn(process.execPath, [bin, 'maintain'], { env, stdio: 'ignore' });
    expect((await once(again, 'exit'))[0]).toBe(0);
    const after = await everyPublishedKeyOpens(admin, keys);
    expect([...after.keys()]).toEqual(days);
    for (const [day, { publicKey }] of published) expect(after.get(day)?.publicKey).toEqual(publicKey);
    await seal();
    await everyRowUnderItsDay(admin, keys, expected);
  }
  console.log(`published when killed: ${reached.join(' ')}`);
  // Not all at one point, and not all too late.
  expect(new Set(reached).size).toBeGreaterThan(3);
});

function secretsIn(vault: string): number {
  return ['day', 'transit', 'pepper'].reduce(
    (sum, kind) => sum + readdirSync(`${vault}/${kind}`).filter((file) => !file.startsWith('.')).length,
    0,
  );
}
