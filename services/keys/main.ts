import { openDatabase } from '../../db/client.ts';
import { PipelineError } from '../../shared/errors.ts';
import { writeText } from '../../shared/output.ts';
import { printableJson } from '../../shared/printable.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { parseDay } from '../../shared/time.ts';
import { openKeyInventory } from '../../shared/vault/open-vault.ts';
import { keysConfig } from './config.ts';
import { takeInventory } from './inventory.ts';
import { describeKeys } from './report.ts';

/** `sluice keys`: where every key is. Exit code 1 when vault and database do not agree. @throws PipelineError */
export async function keys(options: { day?: string; json?: boolean }): Promise<number> {
  const day = options.day === undefined ? undefined : parseDay(options.day);
  if (options.day !== undefined && day === undefined) {
    throw new PipelineError('USAGE', '--day is not a date YYYY-MM-DD');
  }
  const config = keysConfig(process.env);
  const inventory = await openKeyInventory(config);
  await using database = openDatabase(config.OPERATOR_DATABASE_URL, {
    applicationName: 'sluice-keys',
    max: 1,
    statementTimeoutMs: 600_000,
  });
  const found = await takeInventory({
    session: database,
    inventory,
    table: userLogins.name,
    clock: Date.now,
    retention: config,
    day,
  });
  const text =
    options.json === true
      ? `${printableJson(found)}\n`
      : describeKeys(found)
          .map((line) => `${line}\n`)
          .join('');
  await writeText(process.stdout, text);
  return found.problems === 0 ? 0 : 1;
}
