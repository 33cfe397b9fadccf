import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { exitCodeFor, PipelineError } from '../shared/errors.ts';
import type { StackAction, StackCommandOptions } from './local-stack/main.ts';

/**
 * `npx sluice <command>`. Parses arguments and loads `services/<command>/main.ts` on demand, so that a writer never loads
 * what only the demo needs. Exit codes: 0 done · 1 failed, or a check found something · 2 wrong flag or setting ·
 * 3 a server cannot be reached.
 */
export async function runCli(argv: string[]): Promise<void> {
  const program = buildProgram();
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

function buildProgram(): Command {
  const program = new Command('sluice')
    .description(
      'Moves login events from SQS through Kafka into Postgres, sealed, without losing or doubling one.',
    )
    .exitOverride()
    .showHelpAfterError('(see --help)')
    .configureOutput({ outputError: (text, write) => write(`sluice: ${text.replace(/^error: /, '')}`) });

  registerMigrate(program);
  registerMaintain(program);
  registerVerify(program);
  registerConnector(program);
  registerWriter(program);
  registerRecover(program);
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
  commandOf(program, 'maintain', 'Make the partitions and keys of the days around today, and the topics')
    .option('--every <duration>', 'go on until SIGTERM, running this often: 30s, 15m, 1h')
    .option('--json', 'print what each run did as a line of JSON')
    .action(async (options: { every?: string; json?: boolean }) => {
      const { maintain } = await import('./maintenance/main.ts');
      process.exitCode = await maintain(options);
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

function registerConnector(program: Command): void {
  commandOf(program, 'connector', 'SQS → the raw topic in Kafka, until SIGTERM').action(async () => {
    const { connector } = await import('./connector/main.ts');
    process.exitCode = await connector();
  });
}

function registerWriter(program: Command): void {
  commandOf(program, 'writer', 'Kafka → sealed rows in Postgres, until SIGTERM').action(async () => {
    const { writer } = await import('./writer/main.ts');
    process.exitCode = await writer();
  });
}

function registerRecover(program: Command): void {
  commandOf(
    program,
    'recover',
    'Show the personal fields of one event; leaves an entry in the access log first',
  )
    .requiredOption('--event-id <uuid>', 'the event: its SQS MessageId')
    .requiredOption('--reason <text>', 'why it is opened')
    .requiredOption('--ticket <id>', 'the request it belongs to')
    .option('--day <YYYY-MM-DD>', 'the day of the event, if known: spares the look-up')
    .option('--json', 'print JSON')
    .action(
      async (options: { eventId: string; reason: string; ticket: string; day?: string; json?: boolean }) => {
        const { recover } = await import('./recover/main.ts');
        process.exitCode = await recover(options);
      },
    );
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
    .option('--json', 'print the report as JSON and nothing else')
    .action(async (options: { messages: number; rate: number; keep?: boolean; json?: boolean }) => {
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
  action('up', 'Start what does not run, in the background').option(
    '--brokers <n>',
    'Kafka brokers, 1 or 3 (default: as before, at first 1)',
    (text) => {
      if (text === '1' || text === '3') return Number(text);
      throw new InvalidArgumentError('It must be 1 or 3.');
    },
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

/** An argument parser for commander. */
function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Commander options of a subcommand inherit exitOverride only when asked. */
export function commandOf(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).exitOverride();
}
