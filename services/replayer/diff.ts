import {
  compareShadowDay,
  isSame,
  planComparison,
  type ComparedDay,
  type Uncompared,
} from '../../db/shadow/compare-shadow.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { tableLines } from '../../shared/text-table.ts';
import { asOperator, chooseDays, daysOf, tell, type ShadowPort } from './shadow-session.ts';

export interface DiffOptions {
  readonly job: string;
  readonly day?: readonly string[];
  /** Ids of events told of each kind. */
  readonly examples: number;
  readonly json?: boolean;
}

/**
 * `sluice replay diff`: the live table beside its shadow, day by day (a swapped day beside what it was before). Counts, columns and event ids; no
 * value of any row. Exit code 1 when something differs.
 *
 * @throws PipelineError SHADOW_MISSING
 */
export async function diff(options: DiffOptions, port: ShadowPort): Promise<number> {
  const wanted = daysOf(options.day);
  return asOperator(port, async (connection) => {
    const { shadow, days } = await chooseDays(connection, userLogins.name, options.job, wanted);
    const { uncompared } = await planComparison(connection, userLogins, shadow.name);
    const compared: ComparedDay[] = [];
    for (const day of days) {
      compared.push(await compareShadowDay(connection, userLogins, day, options.examples));
    }
    const same = compared.every(isSame) && uncompared.unlike.length === 0;
    const report = { job: options.job, same, days: compared, uncompared };
    await tell(port, options.json, report, describeDiff(compared, uncompared, same));
    return same ? 0 : 1;
  });
}

function describeDiff(days: readonly ComparedDay[], uncompared: Uncompared, same: boolean): string[] {
  const rows = days.map((day) => [
    day.day,
    day.with,
    ...[day.both, day.onlyLive, day.onlyAside, day.different].map((count) => count.toLocaleString('en-US')),
    Object.entries(day.columns)
      .map(([column, count]) => `${column} ${count.toLocaleString('en-US')}`)
      .join(', '),
  ]);
  return [
    ...tableLines([['DAY', 'BESIDE', 'BOTH', 'ONLY LIVE', 'ONLY BESIDE', 'DIFFERENT', 'BY COLUMN'], ...rows]),
    ...days.flatMap(exampleLines),
    ...days
      .filter(({ otherEpoch }) => otherEpoch > 0)
      .map(({ day, otherEpoch }) => `${day}  ${otherEpoch} rows have tokens of two epochs: not compared`),
    ...uncompared.unlike.map((column) => `column ${column} is not the same on both sides`),
    `not compared: ${uncompared.columns.join(', ')}`,
    same ? 'the same' : 'NOT the same',
  ];
}

function exampleLines({ day, examples }: ComparedDay): string[] {
  const line = (what: string, ids: readonly string[]) =>
    ids.length === 0 ? [] : [`${day}  ${what}: ${ids.join(' ')}`];
  return [
    ...line('only live', examples.onlyLive),
    ...line('only beside', examples.onlyAside),
    ...line('different', examples.different),
  ];
}
