import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { sealedOnly } from '../../helpers/invariants.ts';
import { createPipeline, eventually } from '../../helpers/pipeline.ts';
import { preloadTopic } from '../../helpers/preload.ts';

const why = ['--reason', 'yearly rotation', '--ticket', 'PRIV-7'];

test('sluice tokens: a rotation from beginning to end, with a writer at work', async () => {
  await using pipeline = await createPipeline({
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  });
  const stored = async (rows: number) => {
    await eventually(`${rows} rows`, async () => (await count(sql`true`)) === rows);
  };
  const count = async (condition: ReturnType<typeof sql>) => {
    const { rows } = await pipeline.admin.execute<{ n: number }>(
      sql`select count(*)::integer as n from user_logins where ${condition}`,
    );
    return rows[0]?.n;
  };
  const writer = await pipeline.start('writer');
  await preloadTopic(pipeline, 500);
  await stored(500);

  expect(await pipeline.run('tokens', 'rotate', '--json')).toMatchObject({
    code: 0,
    stdout: '{"current":2,"prior":1}\n',
  });
  expect(await pipeline.run('tokens', 'rotate', ...why)).toMatchObject({ code: 1 });
  expect(await pipeline.run('tokens', 'finish', ...why)).toMatchObject({ code: 1 });

  // The writer learns of it from Postgres, at once.
  await preloadTopic(pipeline, 500, { seed: 2 });
  await stored(1_000);
  expect(await count(sql`masked_ip like 't2:%' and masked_ip_prior like 't1:%'`)).toBe(500);
  await sealedOnly(pipeline.admin);
  const status = await pipeline.run('tokens', 'status');
  expect(status.stdout).toMatch(/1000 live rows, 500 with a token of an epoch before only, 500 with both/);
  expect(status.stdout).toMatch(/next: sluice tokens retoken/);

  expect((await pipeline.run('tokens', 'retoken', '--reason', 'x')).code).toBe(2);
  const retokened = await pipeline.run('tokens', 'retoken', ...why, '--json');
  expect(JSON.parse(retokened.stdout)).toMatchObject({ epoch: 2, retokened: 500, unopened: 0 });
  expect(retokened.stderr).toBe('');
  const finished = await pipeline.run('tokens', 'finish', ...why);
  expect(finished).toMatchObject({ code: 0, stdout: expect.stringContaining('1000 rows cleared') });

  await preloadTopic(pipeline, 500, { seed: 3 });
  await stored(1_500);
  expect(
    await count(sql`masked_ip like 't2:%' and masked_ip_prior is null and masked_device_id_prior is null`),
  ).toBe(1_500);
  expect(JSON.parse((await pipeline.run('tokens', 'status', '--json')).stdout)).toMatchObject({
    epochs: [{ state: 'retired' }, { state: 'current' }],
    rows: 1_500,
    stale: 0,
    withPrior: 0,
    days: [],
  });
  const { rows: log } = await pipeline.admin.execute(
    sql`select action, reason, ticket from access_log where action in ('rotate', 'finish') order by id`,
  );
  expect(log).toEqual([
    { action: 'rotate', reason: 'rotation of the token pepper', ticket: 'none' },
    { action: 'finish', reason: 'yearly rotation', ticket: 'PRIV-7' },
  ]);
  expect(writer.ended).toBeUndefined();
  expect(await writer.kill('SIGTERM')).toBe(0);
  expect(await pipeline.logs()).not.toMatch(/TOKENS_CHANGED|outage|"level":"error"/);
}, 120_000);
