import { Command, CommanderError } from 'commander';
import { exitCodeFor, PipelineError } from '../shared/errors.ts';

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

  registerWriter(program);
  registerRecover(program);
  return program;
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

/** Commander options of a subcommand inherit exitOverride only when asked. */
export function commandOf(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).exitOverride();
}
