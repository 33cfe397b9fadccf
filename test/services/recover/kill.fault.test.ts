import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { verifyChain } from '../../../services/audit/verify.ts';
import { dayOf } from '../../../shared/time.ts';
import { openPeppers } from '../../../shared/vault/open-vault.ts';
import { createPipeline, eventually } from '../../helpers/pipeline.ts';
import { storeLogins } from './fixtures.ts';

const script = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));
const event = z.object({ eventId: z.string() });

test('killed in the middle of a range: whatever was shown has its entry, and the chain holds', async () => {
  await using pipeline = await createPipeline({
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  });
  const day = dayOf(Date.now());
  const peppers = await openPeppers({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' });
  await storeLogins(
    pipeline.admin,
    peppers,
    Array.from({ length: 12_000 }, () => ({ day })),
  );
  const range = [
    'recover',
    '--user-id',
    'user-1',
    '--from',
    day,
    '--to',
    day,
    '--reason',
    'r',
    '--ticket',
    'T',
  ];
  const subjects = async () => {
    const { rows } = await pipeline.admin.execute<{ subject: string }>(sql`select subject from access_log`);
    return new Set(rows.map(({ subject }) => subject));
  };

  for (const after of [1, 1_200, 4_000, 9_000]) {
    const child = spawn(process.execPath, [script, ...range, '--json'], {
      env: pipeline.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const closed = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
    let text = '';
    let lines = 0;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      lines += chunk.split('\n').length - 1;
      if (lines >= after) child.kill('SIGKILL');
    });
    expect(await closed).toBe('SIGKILL');
    // The last line may be cut.
    const shown = text
      .split('\n')
      .slice(0, -1)
      .map((line) => event.parse(JSON.parse(line)).eventId);
    expect(shown.length).toBeGreaterThanOrEqual(after);
    expect(shown.length).toBeLessThan(12_000);
    const entered = await subjects();
    expect(shown.filter((eventId) => !entered.has(eventId))).toEqual([]);
  }

  // Into a file: nothing under its name, nothing in plain text.
  const recipient = await identityToRecipient(await generateX25519Identity());
  const child = spawn(
    process.execPath,
    [script, ...range, '--output', join(pipeline.directory, 'out.age'), '--encrypt-for', recipient],
    { env: pipeline.env, stdio: 'ignore' },
  );
  const closed = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
  const before = await entries();
  await eventually('entries', async () => (await entries()) > before + 500);
  await pipeline.admin.withSession(async (session) => {
    // The lock under which entries are added: it goes no further than the page under way.
    await session.execute(sql`select pg_advisory_lock(5110009)`);
    child.kill('SIGKILL');
    expect(await closed).toBe('SIGKILL');
    await session.execute(sql`select pg_advisory_unlock(5110009)`);
  });
  expect(await readdir(pipeline.directory)).not.toContain('out.age');

  const { finding } = await verifyChain(pipeline.database.open('operator'), []);
  expect(finding).toBeUndefined();

  async function entries(): Promise<number> {
    const { rows } = await pipeline.admin.execute<{ count: number }>(
      sql`select count(*)::integer as count from access_log`,
    );
    return rows[0]?.count ?? 0;
  }
});
