import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { archiveOneDay } from '../../../db/archive/archive-days.ts';
import { restoreDay } from '../../../db/archive/restore-day.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { s3Place } from '../../../shared/archive/s3-place.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { createDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { motoPython, startMoto } from '../../helpers/moto.ts';
import { TestWriter } from '../../helpers/writer.ts';

const python = await motoPython();
const region = 'us-east-1';
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const day = addDays(dayOf(Date.now()), -100);

test.skipIf(python === undefined)(
  'a day goes into a bucket and comes back byte for byte (skipped without python3)',
  async () => {
    await using cleanup = new AsyncDisposableStack();
    const moto = await startMoto(python ?? '');
    cleanup.defer(() => moto.stop());
    const client = new S3Client({ region, endpoint: moto.endpoint, credentials, forcePathStyle: true });
    cleanup.defer(() => client.destroy());
    await client.send(new CreateBucketCommand({ Bucket: 'archive' }));
    const place = s3Place({
      bucket: 'archive',
      prefix: 'sluice',
      region,
      endpoint: moto.endpoint,
      credentials,
    });

    const database = cleanup.use(await createDatabase(inject('postgresAdminUrl')));
    const admin = database.open('admin');
    const vault = new FakeVault();
    const clock = () => Date.parse(`${day}T12:00:00Z`);
    await maintainDays({ database: admin, keeper: vault, tables: ['user_logins'], clock });
    using writer = new TestWriter({ connection: database.open('writer'), vault, clock: Date.now });
    await writer.writeLogins(
      Array.from({ length: 300 }, (_, i) => ({ sentAtMs: clock() + i, deviceId: `d-${i}` })),
    );
    const rows = async () => {
      const { rows } = await admin.execute<{ line: string }>(
        sql`select r::text as line from user_logins r where create_date = ${day} order by event_id`,
      );
      return rows.map(({ line }) => line);
    };
    const before = await rows();
    expect(before).toHaveLength(300);

    const parts = { database: admin, stream: userLogins, place, mover: vault };
    expect(await archiveOneDay(parts, day)).toMatchObject({ rows: 300, location: 's3://archive/sluice' });
    expect(await rows()).toEqual([]);
    expect(await place.list('')).toEqual(
      ['data-keys.csv.zst', 'manifest.json', 'rows.csv.zst'].map((name) => `user_logins/${day}/${name}`),
    );
    await admin.withSession((connection) => restoreDay(parts, connection, day, 7));
    expect(await rows()).toEqual(before);
  },
);
