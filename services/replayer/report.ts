import { table } from '../../shared/text-table.ts';
import type { ReplayPlan } from './plan.ts';
import type { Planned } from './make-plan.ts';
import type { PartitionDay, ReplayProof } from './prove.ts';

/** What a job has done and how that was proven; kept with it. */
export interface ReplayReport extends ReplayProof {
  readonly job: string;
  readonly stream: string;
  readonly source: ReplayPlan['source'];
  readonly target: ReplayPlan['target'];
  readonly ranges: ReplayPlan['ranges'];
  /** From its beginning to the last batch, pauses included. */
  readonly seconds: number;
  readonly perSecond: number;
  readonly finishedAt: string;
}

const n = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 1 });

/** For people: a table by partition and day, the checksum, what was found, the verdict. */
export function reportText(report: ReplayReport): string {
  const { checksum, seconds, perSecond, target } = report;
  const verb = target === 'dry-run' ? 'would be inserted' : 'inserted';
  return [
    `replay ${report.job}: ${report.source} → ${target}, ${n(seconds)} s, ${n(perSecond)}/s\n\n`,
    countsTable(report.days),
    '\n',
    `${n(report.read)} read = ${n(report.inserted)} ${verb} + ${n(report.duplicate)} duplicate + ${n(report.dead)} dead + ${n(report.filtered)} filtered\n`,
    ...(report.inserted === 0 ? ['nothing was inserted: every row was there before\n'] : []),
    ...(target === 'dry-run'
      ? []
      : [
          `${n(checksum.rows)} rows: identities ${checksum.identities}, tokens ${checksum.tokens} (${checksum.epochs.join(', ')})\n`,
        ]),
    verdict(report),
  ].join('');
}

/** Notes, problems, and whether it is proven. */
export function verdict({ problems, notes }: Pick<ReplayProof, 'problems' | 'notes'>): string {
  const last =
    problems.length === 0
      ? 'proven: every record of the plan is accounted for, and every row is there\n'
      : `NOT proven: ${problems.length} problem(s)\n`;
  return [...notes.map((note) => `note: ${note}\n`), ...problems.map((one) => `${one}\n`), last].join('');
}

function countsTable(days: readonly PartitionDay[]): string {
  return table(
    [
      ['partition', 'day', 'read', 'inserted', 'duplicate', 'dead', 'filtered'],
      ...days.map((day) => [
        String(day.partition),
        day.day,
        ...[day.read, day.inserted, day.duplicate, day.dead, day.filtered].map(n),
      ]),
    ],
    2,
  );
}

/** For people: what would be read, what is there, how long it takes, and what stands against it. */
export function plannedText({
  plan,
  days,
  notes,
  refusals,
  records,
  perSecond,
  measured,
  seconds,
}: Planned): string {
  const offsets = plan.ranges.reduce((sum, { from, to }) => sum + Number(BigInt(to) - BigInt(from)), 0);
  const reckoned = measured ? 'as the last job was' : 'a guess: no job has run yet';
  const opened = plan.filter.userIds === null ? '' : '; which are of these users shows when they are opened';
  return [
    `replay ${plan.job}: ${plan.stream} from ${plan.source} (${plan.topic}) to ${plan.target}, transform ${plan.transform}\n\n`,
    table(
      [
        ['partition', 'day', 'records'],
        ...plan.expected.map((one) => [String(one.partition), one.day, n(one.records)]),
      ],
      2,
    ),
    '\n',
    table(
      [
        ['day', 'state', 'records', 'rows there'],
        ...days.map((day) => [day.day, day.state, n(day.records), n(day.present)]),
      ],
      2,
    ),
    '\n',
    `${n(records)} records selected of ${n(offsets)} to read${opened}\n`,
    `about ${duration(seconds)} at ${n(perSecond)}/s (${plan.perSecond === perSecond ? 'its limit' : reckoned})\n`,
    ...notes.map((note) => `note: ${note}\n`),
    ...refusals.map((refusal) => `refused: ${refusal}\n`),
  ].join('');
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min` : `${n(seconds / 3_600)} h`;
}
