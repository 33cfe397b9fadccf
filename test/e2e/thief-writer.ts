import { createInterface } from 'node:readline';
import { z } from 'zod';
import { openDatabase } from '../../db/client.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { openPeppers, openTransitKeys } from '../../shared/vault/open-vault.ts';
import { TestWriter } from '../helpers/writer.ts';

/*
 * A writer in a process of its own, whose clock its parent sets: thief.int.test.ts looks into its memory. Takes a line of JSON at a
 * time, answers each with "done".
 */
const commandSchema = z.union([
  z.object({
    records: z.array(z.object({ key: z.string(), value: z.base64(), timestampMs: z.number() })),
  }),
  z.object({ advanceMs: z.number() }),
]);

let skewMs = 0;
const config = { VAULT_URL: process.env['VAULT_URL'] ?? '' };
await using database = openDatabase(process.env['DATABASE_URL'] ?? '', {
  applicationName: 'thief-writer',
  max: 2,
  statementTimeoutMs: 30_000,
});
using writer = new TestWriter({
  connection: database,
  vault: { ...(await openTransitKeys(config)), ...(await openPeppers(config)) },
  clock: () => Date.now() + skewMs,
});
let offset = 0n;
for await (const line of createInterface({ input: process.stdin })) {
  const command = commandSchema.parse(JSON.parse(line));
  if ('records' in command) {
    await writer.write(
      command.records.map(({ key, value, timestampMs }) => ({
        offset: offset++,
        key: Buffer.from(key),
        value: Buffer.from(value, 'base64'),
        timestampMs,
        headers: {},
      })),
    );
  } else {
    skewMs += command.advanceMs;
    // The writer looks every second whether a key has had its time.
    await sleep(2_500);
  }
  process.stdout.write('done\n');
}
