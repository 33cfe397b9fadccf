import { openDatabase } from '../../db/client.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { openDayPrivateKeys } from '../../shared/vault/open-vault.ts';
import { recoverConfig } from './config.ts';
import { EventNotFound, recoverEvent, type RecoveredEvent, type RecoverRequest } from './recover.ts';

/** `sluice recover`. Exit code 1 when no such event is stored. */
export async function recover(request: RecoverRequest & { json?: boolean }): Promise<number> {
  const config = recoverConfig(process.env);
  const keys = await openDayPrivateKeys(config.VAULT_URL, config.VAULT_RECOVERY_KEY_FILE);
  await using database = openDatabase(config.RECOVERY_DATABASE_URL, {
    applicationName: 'sluice-recover',
    max: 1,
    statementTimeoutMs: 30_000,
  });
  try {
    const event = await recoverEvent({ session: database, keys, stream: userLogins }, request);
    process.stdout.write(request.json === true ? `${JSON.stringify(event)}\n` : describe(event));
    return 0;
  } catch (error) {
    if (!(error instanceof EventNotFound)) throw error;
    process.stderr.write('sluice: no such event is stored (the attempt is in the access log)\n');
    return 1;
  }
}

function describe(event: RecoveredEvent): string {
  const lines: Record<string, unknown> = {
    event: event.eventId,
    day: event.day,
    'sent at': event.sentAt,
    ...event.clear,
    ...event.personal,
    'access log': `entry ${event.accessId}`,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name.padEnd(18)}${shown(value)}\n`)
    .join('');
}

function shown(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '–';
}
