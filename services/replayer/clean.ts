import { dropShadow } from '../../db/shadow/drop-shadow.ts';
import { PipelineError } from '../../shared/errors.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { asOnlySwapper, chooseDays, tell, type ShadowPort } from './shadow-session.ts';

export interface CleanOptions {
  readonly job: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/**
 * `sluice replay clean`: drops a job's shadow and what swapped days were before. Without `--yes` it says what would go, and that is all.
 * Resolves with the exit code.
 *
 * @throws PipelineError SHADOW_MISSING; SHADOW_CONFLICT when a row would be lost; CUSTODY_BUSY
 */
export async function clean(options: CleanOptions, port: ShadowPort): Promise<number> {
  const { job } = options;
  return asOnlySwapper(port, async (connection) => {
    const { shadow, days } = await chooseDays(connection, userLogins.name, job, undefined);
    if (options.yes !== true) {
      const tables = [...days.map(({ aside }) => aside), shadow.name];
      const waiting = days.filter(({ place }) => place !== 'swapped').map(({ day }) => day);
      const lines = tables.map((table) => `would drop ${table}`);
      if (waiting.length > 0) lines.push(`not swapped: ${waiting.join(', ')}`);
      await tell(port, options.json, { job, wouldDrop: tables, notSwapped: waiting }, lines);
      throw new PipelineError('USAGE', 'there is no way back from this: say --yes');
    }
    const dropped = await dropShadow(connection, userLogins, job);
    await tell(
      port,
      options.json,
      dropped,
      dropped.tables.map((table) => `dropped ${table}`),
    );
    return 0;
  });
}
