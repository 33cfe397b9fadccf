import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { verifyChain } from '../../../services/audit/verify.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { openKeyInventory, openPeppers } from '../../../shared/vault/open-vault.ts';
import { createPipeline } from '../../helpers/pipeline.ts';
import { storeLogins } from '../recover/fixtures.ts';

const script = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));

test('killed at any moment: the next run finishes, under the one order', async () => {
  await using pipeline = await createPipeline({
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  });
  const day = addDays(dayOf(Date.now()), -2);
  const vault = { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' };
  const rows = 60_000;
  await storeLogins(
    pipeline.admin,
    await openPeppers(vault),
    Array.from({ length: rows }, () => ({ day })),
    rows,
  );
  const count = async () => {
    const found = await pipeline.admin.execute<{
      tokens: number;
      ordered: number;
      finished: number;
      entries: number;
    }>(sql`
      select (select count(*)::integer from user_logins where num_nonnulls(masked_ip, masked_device_id) > 0) as tokens,
        (select count(*)::integer from shreds) as ordered, (select count(finished_at)::integer from shreds) as finished,
        (select count(*)::integer from access_log) as entries`);
    const [first] = found.rows;
    if (first === undefined) throw new Error('no count');
    return first;
  };
  const keys = async () =>
    (await (await openKeyInventory(vault)).dayKeys()).filter((key) => key.day === day).length;

  const left: number[] = [];
  const args = [script, 'shred', '--day', day, '--reason', 'r', '--ticket', 'T'];
  // Until it has been killed in the middle of clearing: the delay grows from run to run.
  for (let delayMs = 300; delayMs < 20_000 && (await count()).finished === 0; delayMs += 150) {
    const child = spawn(process.execPath, args, { env: pipeline.env, stdio: 'ignore' });
    const closed = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
    await Promise.race([sleep(delayMs), closed]);
    child.kill('SIGKILL');
    await closed;
    const now = await count();
    left.push(now.tokens);
    // The order and its entry come first, and only together.
    expect(now.ordered > 0).toBe(now.entries > 0);
    expect(now.ordered > 0 || ((await keys()) === 1 && now.tokens === rows)).toBe(true);
    expect(now.ordered).toBeLessThanOrEqual(1);
    // Keys go before tokens.
    expect(now.tokens === rows || (await keys()) === 0).toBe(true);
  }
  expect(left.some((tokens) => tokens > 0 && tokens < rows)).toBe(true);
  const report = await pipeline.run('shred', '--day', day, '--reason', 'r', '--ticket', 'T', '--json');
  expect(JSON.parse(report.stdout)).toMatchObject({
    day,
    proof: { privateKeysLeft: 0, table: { rows, withTokens: 0 } },
  });
  expect(await count()).toMatchObject({ tokens: 0, ordered: 1, finished: 1 });
  expect(await keys()).toBe(0);
  expect(await verifyChain(pipeline.admin, [])).toMatchObject({ finding: undefined });
});
