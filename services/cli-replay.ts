import { Option, type Command } from 'commander';
import { commandOf, repeated, wholeNumber } from './cli-options.ts';
import { registerShadows } from './cli-replay-shadow.ts';
import type { ReplayRunOptions } from './replayer/main.ts';
import type { ReplayPlanOptions } from './replayer/request.ts';

/** `sluice replay …`: docs/replay.md, and docs/backfill.md for shadow tables. */
export function registerReplay(program: Command, loaded: () => void): void {
  const replay = commandOf(program, 'replay', 'Read a range of a topic once more, beside the live writers');
  registerPlan(replay);
  commandOf(replay, 'run', 'Do what a plan says; again after a crash, or on several machines at once')
    .requiredOption('--plan <file>', 'what "replay plan --output" wrote')
    .option('--json', 'progress as lines of JSON on standard error, and the report as JSON')
    .action(async ({ plan, ...options }: ReplayRunOptions & { plan: string }) => {
      const { replayRun } = await import('./replayer/main.ts');
      loaded();
      process.exitCode = await replayRun(plan, options);
    });
  commandOf(
    replay,
    'resume',
    'Let a paused job go on, and work on it here; also one whose processes are gone',
  )
    .argument('<job>')
    .option('--detach', 'only let it go on: processes that wait do the work')
    .option('--json', 'as with run')
    .action(async (job: string, options: ReplayRunOptions & { detach?: boolean }) => {
      const { replayResume } = await import('./replayer/main.ts');
      loaded();
      process.exitCode = await replayResume(job, options);
    });
  commandOf(replay, 'status', 'How a job stands, or all jobs')
    .argument('[job]')
    .option('--dead <n>', 'with the first dead records: offsets and codes', wholeNumber(1, 100_000))
    .option('--json', 'print JSON')
    .action(async (job: string | undefined, options: { json?: boolean; dead?: number }) => {
      const { replayStatus } = await import('./replayer/main.ts');
      process.exitCode = await replayStatus(job, options);
    });
  const change = (name: 'pause' | 'cancel' | 'verify', description: string) =>
    commandOf(replay, name, description)
      .argument('<job>')
      .option('--json', 'print JSON')
      .action(async (job: string, options: { json?: boolean }) => {
        const { replayPause, replayCancel, replayVerify } = await import('./replayer/main.ts');
        const act = { pause: replayPause, cancel: replayCancel, verify: replayVerify }[name];
        process.exitCode = await act(job, options);
      });
  change('pause', 'Every process of a job stops reading, and waits');
  change('cancel', 'End a job for good; what it has stored stays');
  change('verify', 'Prove a job anew, from its ledger, the rows and Kafka');
  registerShadows(replay);
}

function registerPlan(replay: Command): void {
  commandOf(
    replay,
    'plan',
    'Say what would be read, what is there already and how long it takes; writes nothing',
  )
    .addOption(
      new Option('--source <source>', 'the raw topic, or the dead letters')
        .choices(['raw', 'dead', 'archive'])
        .default('raw'),
    )
    .option(
      '--from <time>',
      'events sent from then on: 2026-11-24, 2026-11-24T08:00Z, 2026-11-24T08:00+01:00',
    )
    .option('--to <time>', 'events sent before then')
    .option('--offsets <ranges>', 'these offsets instead: 0:100-199,3:17 (both ends included)')
    .option('--offsets-file <file>', 'the same from a file, one a line')
    .option('--partition <n>', 'only these (repeatable)', (text: string, others: number[] | undefined) => [
      ...(others ?? []),
      wholeNumber(0, 1_000_000)(text),
    ])
    .option('--user-id <id>', 'only events of these users (repeatable)', repeated)
    .option('--event-id <uuid>', 'only these: the SQS MessageId (repeatable)', repeated)
    .option('--code <code>', 'with --source dead: only these (repeatable)', repeated)
    .addOption(
      new Option('--target <target>', 'the live table, a shadow made like it, or nothing')
        .choices(['live', 'shadow', 'dry-run'])
        .default('live'),
    )
    .option('--transform <n>', 'the version of the mapping that is meant', wholeNumber(1, 1_000_000))
    .option('--rate <n>', 'records a second at most, of each process', wholeNumber(1, 10_000_000))
    .option('--concurrency <n>', 'partitions at once, of each process', wholeNumber(1, 64), 3)
    .option(
      '--max-live-lag <n>',
      'slow down when the live writers are so many records behind; 0: do not look',
      wholeNumber(0, 1_000_000_000),
      1_000,
    )
    .option(
      '--max-latency <ms>',
      'slow down when a small commit takes longer; 0: do not look',
      wholeNumber(0, 60_000),
      20,
    )
    .option('--accept-dead', 'count records of days that take no rows as dead, instead of refusing them')
    .option('--name <job>', 'of the job (default: made up)')
    .option('--output <file>', 'write the plan there, for "replay run"')
    .option('--json', 'print JSON')
    .action(async (options: ReplayPlanOptions) => {
      const { replayPlan } = await import('./replayer/main.ts');
      process.exitCode = await replayPlan(options);
    });
}
