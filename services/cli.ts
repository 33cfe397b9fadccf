import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { exitCodeFor, PipelineError } from '../shared/errors.ts';
import { registerCustody } from './cli-custody.ts';
import { commandOf, repeated, wholeNumber } from './cli-options.ts';
import { registerReplay } from './cli-replay.ts';
import { registerWatch } from './cli-watch.ts';
import type { DemoOptions } from './demo/main.ts';
import type { DlqListOptions, DlqRedriveOptions } from './dlq/main.ts';
import type { StackAction, StackCommandOptions } from './local-stack/main.ts';

/**
 * `npx sluice <command>`. Parses arguments and loads `services/<command>/main.ts` on demand, so that a writer never loads
 * what only the demo needs. Exit codes: 0 done · 1 failed, or a check found something · 2 wrong flag or setting ·
 * 3 a server cannot be reached. `loaded` is called by what moves messages: all of its modules are there.
 */
export async function runCli(argv: string[], loaded: () => void = () => {}): Promise<void> {
  const program = buildProgram(loaded);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof PipelineError) {
    process.stderr.write(`sluice: ${error.message} [${error.code}]\n`);
    return exitCodeFor(error);
  }
  // A name and a place, not the message: a driver's message may quote what it was given.
  const known = error instanceof Error ? error : new Error('not an Error');
  const place =
    known.stack
      ?.split('\n')
      .find((line) => line.trimStart().startsWith('at '))
      ?.trim() ?? '';
  process.stderr.write(`sluice: unexpected ${known.name} ${place} [INTERNAL]\n`);
  return 1;
}

function buildProgram(loaded: () => void): Command {
  const program = new Command('sluice')
    .description(
      'Moves login events from SQS through Kafka into Postgres, sealed, without losing or doubling one.',
    )
    .exitOverride()
    // An option belongs to the command it stands behind: "recover approve 12 --json".
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)')
    .configureOutput({ outputError: (text, write) => write(`sluice: ${text.replace(/^error: /, '')}`) });

  registerMigrate(program);
  registerMaintain(program);
  registerVerify(program);
  registerConnector(program, loaded);
  registerWriter(program, loaded);
  registerTrace(program);
  registerWatch(program);
  registerDlq(program);
  registerReplay(program, loaded);
  registerCustody(program);
  registerDemo(program);
  registerStack(program);
  return program;
}

function registerMigrate(program: Command): void {
  commandOf(program, 'migrate', 'Make or update the database, the file vault and the topics')
    .option('--json', 'print what was done as JSON')
    .action(async (options: { json?: boolean }) => {
      const { migrate } = await import('./migrate/main.ts');
      process.exitCode = await migrate(options);
    });
}

function registerMaintain(program: Command): void {
  pretty(
    commandOf(program, 'maintain', 'Make the partitions and keys of the days around today, and the topics'),
  )
    .option('--every <duration>', 'go on until SIGTERM, running this often: 30s, 15m, 1h')
    .option('--json', 'print what each run did as a line of JSON')
    .action(async (options: { every?: string; json?: boolean; pretty?: boolean }) => {
      const { maintain } = await import('./maintenance/main.ts');
      process.exitCode = await maintain(options);
    });
}

function pretty(command: Command): Command {
  return command.option('--pretty', 'log lines for people instead of JSON');
}

function registerTrace(program: Command): void {
  commandOf(program, 'trace', 'The way of one event, from Jaeger: a tree with times')
    .argument('<event-id>', 'its SQS MessageId')
    .option('--since <duration>', 'how far back to look: 1h, 14d', '14d')
    .option('--json', 'print JSON')
    .action(async (eventId: string, options: { since: string; json?: boolean }) => {
      const { trace } = await import('./trace/main.ts');
      process.exitCode = await trace(eventId, options);
    });
}

function registerVerify(program: Command): void {
  commandOf(program, 'verify', 'Prove from the ledger and Kafka that no record was passed over')
    .option('--complete', 'also require that everything in the topic has been read')
    .option('--json', 'print the proof as JSON')
    .action(async (options: { complete?: boolean; json?: boolean }) => {
      const { verify } = await import('./verify/main.ts');
      process.exitCode = await verify(options);
    });
}

function registerConnector(program: Command, loaded: () => void): void {
  pretty(commandOf(program, 'connector', 'SQS → the raw topic in Kafka, until SIGTERM')).action(
    async (options: { pretty?: boolean }) => {
      const { connector } = await import('./connector/main.ts');
      loaded();
      process.exitCode = await connector(options);
    },
  );
}

function registerWriter(program: Command, loaded: () => void): void {
  pretty(commandOf(program, 'writer', 'Kafka → sealed rows in Postgres, until SIGTERM')).action(
    async (options: { pretty?: boolean }) => {
      const { writer } = await import('./writer/main.ts');
      loaded();
      process.exitCode = await writer(options);
    },
  );
}

function registerDlq(program: Command): void {
  const dlq = commandOf(program, 'dlq', 'Dead letters: what is there and why, and back onto the raw topic');
  const filtered = (name: string, description: string) =>
    commandOf(dlq, name, description)
      .option('--code <code>', 'only these (repeatable)', repeated)
      .option('--from <time>', 'events sent from then on: 2026-11-24 or 2026-11-24T08:00:00Z')
      .option('--to <time>', 'events sent before then')
      .option('--failed-from <time>', 'first failed from then on')
      .option('--failed-to <time>', 'first failed before then')
      .option(
        '--partition <n>',
        'of the dead-letter topic (repeatable)',
        (text: string, others: number[] | undefined) => [...(others ?? []), wholeNumber(0, 1_000_000)(text)],
      )
      .option('--event-id <uuid>', 'only these: the SQS MessageId (repeatable)', repeated);
  filtered('list', 'Counts by code, field and day, and the first of them')
    .option('--limit <n>', 'entries at most; all are counted', wholeNumber(0, 1_000_000), 20)
    .option('--all', 'those too that have been redriven')
    .option('--queue', 'of the dead-letter queue in SQS instead: SQS_DEAD_LETTER_QUEUE_URL')
    .option('--json', 'print JSON')
    .action(async (options: DlqListOptions) => {
      const { dlqList } = await import('./dlq/main.ts');
      process.exitCode = await dlqList(options);
    });
  commandOf(dlq, 'show', 'One of them, whole but for its body (for that: sluice peek dead --bodies)')
    .argument('<partition/offset>', 'where it lies, as list prints it; with --queue its MessageId')
    .option('--queue', 'of the dead-letter queue in SQS instead')
    .option('--json', 'print JSON')
    .action(async (at: string, options: { queue?: boolean; json?: boolean }) => {
      const { dlqShow } = await import('./dlq/main.ts');
      process.exitCode = await dlqShow(at, options);
    });
  filtered('redrive', 'Put them back on the raw topic, under the identity of their origin')
    .option('--limit <n>', 'records at most', wholeNumber(1, 1_000_000_000))
    .option('--rate <n>', 'records a second', wholeNumber(1, 1_000_000))
    .option('--again', 'those too that have been redriven before')
    .option('--dry-run', 'say what would be put back, and change nothing')
    .option('--queue', 'from the dead-letter queue in SQS instead, and off it')
    .option(
      '--accept-new-time',
      'with --queue, of a FIFO queue: although SQS has changed when they were sent',
    )
    .option('--json', 'print JSON')
    .action(async (options: DlqRedriveOptions) => {
      const { dlqRedrive, dlqRedriveQueue } = await import('./dlq/main.ts');
      if (options.queue !== true) {
        process.exitCode = await dlqRedrive(options);
        return;
      }
      const { drainDeadLetterQueue } = await import('./connector/main.ts');
      process.exitCode = await dlqRedriveQueue(options, drainDeadLetterQueue);
    });
}

function registerDemo(program: Command): void {
  commandOf(
    program,
    'demo',
    'The whole pipeline on the local stack, with real input and a report that must reconcile',
  )
    .option('--messages <n>', 'how many logins to send', wholeNumber(1, 10_000_000), 10_000)
    .option('--rate <n>', 'messages a second', wholeNumber(1, 1_000_000), 1_000)
    .option('--keep', 'leave stack, connector and writer running')
    .option('--observe', 'with a Jaeger, where there is a program of it, and a trace for every message')
    .option('--json', 'print the report as JSON and nothing else')
    .action(async (options: DemoOptions) => {
      const { demo } = await import('./demo/main.ts');
      process.exitCode = await demo(options);
    });
}

function registerStack(program: Command): void {
  const stack = commandOf(program, 'stack', 'Postgres, Kafka and SQS on this machine, without containers');
  const action = (name: StackAction, description: string) =>
    commandOf(stack, name, description)
      .option('--directory <path>', 'where the stack lies (default: .sluice in the checkout)')
      .action(async (options: StackCommandOptions) => {
        const { stack } = await import('./local-stack/main.ts');
        process.exitCode = await stack(name, options);
      });
  action('up', 'Start what does not run, in the background')
    .option('--brokers <n>', 'Kafka brokers, 1 or 3 (default: as before, at first 1)', (text) => {
      if (text === '1' || text === '3') return Number(text);
      throw new InvalidArgumentError('It must be 1 or 3.');
    })
    .option(
      '--observe',
      'a Jaeger too, where there is a program of it: JAEGER_BINARY, or "jaeger" on the PATH',
    );
  action('down', 'Stop it and keep its data');
  action('reset', 'Stop it and delete its data, not the downloads');
  action('status', 'Servers, ports, processes, health; exit code 1 unless all are ready').option(
    '--json',
    'print JSON',
  );
  action('env', 'Settings for the services, for: eval "$(npx sluice stack env)"').option(
    '--json',
    'print JSON',
  );
}
