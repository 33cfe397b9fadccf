import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { fingerprintOf } from '../../shared/vault/keys.ts';
import { createPipeline } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { settled } from '../helpers/settle.ts';
import { readAll } from '../helpers/topics.ts';

const script = fileURLToPath(new URL('../../docs/custody/open_field.py', import.meta.url));
const python = spawnSync('python3', ['--version']).status === 0;

function run(
  command: string,
  options: Readonly<Record<string, string | undefined>>,
): { status: number | null; said: string } {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value ?? '']);
  const { status, stdout, stderr } = spawnSync('python3', [script, command, ...args], { encoding: 'utf8' });
  return { status, said: (stdout + stderr).trimEnd() };
}

/** Sluice seals; docs/custody/open_field.py, which shares no code with it, opens: the documented formats are the real ones. */
test.skipIf(!python)(
  'what the pipeline sealed opens from its documentation (skipped without python3)',
  async () => {
    await using pipeline = await createPipeline(
      {
        postgresAdminUrl: inject('postgresAdminUrl'),
        kafkaBrokers: inject('kafkaBrokers'),
        sqsEndpoint: inject('sqsEndpoint'),
      },
      { partitions: 1 },
    );
    const login = {
      user_id: 'u-1',
      app_version: '2.3.0',
      device_type: 'iOS',
      ip: '2001:DB8:0:0::7',
      locale: null,
      device_id: 'Gerät “7”',
    };
    await pipeline.start('connector');
    await pipeline.start('writer');
    await sendAll(pipeline.queue, [JSON.stringify(login)]);
    await settled(pipeline);

    const { rows } = await pipeline.admin.execute<Record<string, string>>(sql`
    select create_date::text as day, event_id, encode(ip_sealed, 'hex') as ip_sealed,
      encode(device_id_sealed, 'hex') as device_id_sealed, encode(public_key, 'hex') as public_key,
      encode(sealed_dek, 'hex') as sealed_dek, masked_ip, masked_device_id,
      floor(extract(epoch from sent_at) * 1000)::text as sent_at_ms
    from user_logins join data_keys using (dek_id) join day_keys on day_keys.day = create_date`);
    const [row = {}] = rows;
    const publicKey = row['public_key'] ?? '';
    const vault = join(pipeline.directory, 'vault');
    const box = join(vault, 'day', `${row['day']}.${fingerprintOf(Buffer.from(publicKey, 'hex'))}.box`);
    const open = (column: string, changed: Readonly<Record<string, string>> = {}) =>
      run('field', {
        'recovery-key': pipeline.env['VAULT_RECOVERY_KEY_FILE'],
        box,
        'public-key': publicKey,
        'sealed-dek': row['sealed_dek'],
        table: 'user_logins',
        column,
        day: row['day'],
        'event-id': row['event_id'],
        sealed: row[column],
        ...changed,
      });
    expect(open('ip_sealed')).toEqual({ status: 0, said: '2001:db8::7' });
    expect(open('device_id_sealed')).toEqual({ status: 0, said: login.device_id });

    const refused = { status: 1, said: expect.stringMatching(/^open_field\.py: .* does not open/) };
    expect(open('ip_sealed', { 'event-id': '00000000-0000-4000-8000-000000000000' })).toEqual(refused);
    const otherKey = join(pipeline.directory, 'other.key');
    await writeFile(otherKey, Buffer.alloc(32, 9));
    expect(open('ip_sealed', { 'recovery-key': otherKey })).toEqual(refused);

    const [record] = await readAll(pipeline.kafkaBrokers, pipeline.rawTopic);
    const body = run('body', {
      'transit-key': join(vault, 'transit', `${row['day']}.key`),
      'message-id': row['event_id'],
      'sent-at': row['sent_at_ms'],
      sealed: record?.value.toString('hex'),
    });
    expect(JSON.parse(body.said)).toEqual(login);

    const pepper = join(vault, 'pepper', '1.key');
    const tokenOf = (field: string, value: string) => run('token', { pepper, epoch: '1', field, value }).said;
    expect(tokenOf('ip', '2001:db8::7')).toBe(row['masked_ip']);
    expect(tokenOf('device_id', login.device_id)).toBe(row['masked_device_id']);
  },
);
