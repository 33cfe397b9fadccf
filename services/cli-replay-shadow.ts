import type { Command } from 'commander';
import { commandOf, repeated, wholeNumber } from './cli-options.ts';
import type { CleanOptions } from './replayer/clean.ts';
import type { DiffOptions } from './replayer/diff.ts';
import type { ShadowOptions } from './replayer/shadow.ts';
import type { SwapCommandOptions } from './replayer/swap.ts';

/** Readers of the live table wait half a second at most, and that seldom. */
const defaultWaitMs = 500;

/** What `sluice replay` has for backfills: docs/backfill.md. */
export function registerShadows(replay: Command): void {
  const ofJob = (name: string, description: string) =>
    commandOf(replay, name, description).requiredOption('--job <name>', 'the replay that fills the shadow');
  ofJob('shadow', 'Make a shadow table for a replay to fill')
    .requiredOption('--from <YYYY-MM-DD>', 'its first day')
    .option('--to <YYYY-MM-DD>', 'its last day (default: the first)')
    .option('--json', 'print JSON')
    .action(async (options: ShadowOptions) => {
      const { makeShadow } = await import('./replayer/shadow.ts');
      process.exitCode = await makeShadow(options, process);
    });
  commandOf(replay, 'shadows', 'Shadow tables, and which days have changed places')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { listShadowTables } = await import('./replayer/shadow.ts');
      process.exitCode = await listShadowTables(options, process);
    });
  ofJob('diff', 'The live table beside its shadow: counts and columns, no values; exit code 1 if they differ')
    .option('--day <YYYY-MM-DD>', 'only these (repeatable)', repeated)
    .option('--examples <n>', 'event ids of each kind and day', wholeNumber(0, 1_000), 5)
    .option('--json', 'print JSON')
    .action(async (options: DiffOptions) => {
      const { diff } = await import('./replayer/diff.ts');
      process.exitCode = await diff(options, process);
    });
  registerSwap(
    ofJob('swap', 'Put the shadow in the place of the live days, one by one').option(
      '--carry-missing',
      'although the replay has not brought every row: the others are carried over as they are',
    ),
    'swap',
  );
  registerSwap(
    ofJob('unswap', 'The way back: what the swapped days were before, with what has come since'),
    'unswap',
  );
  ofJob('clean', 'Drop the shadow and what the swapped days were before; no way back')
    .option('--yes', 'do it; without this it only says what would go')
    .option('--json', 'print JSON')
    .action(async (options: CleanOptions) => {
      const { clean } = await import('./replayer/clean.ts');
      process.exitCode = await clean(options, process);
    });
}

function registerSwap(command: Command, direction: 'swap' | 'unswap'): void {
  command
    .option('--day <YYYY-MM-DD>', 'only these (repeatable)', repeated)
    .option('--max-wait <ms>', 'readers wait so long at most', wholeNumber(10, 900), defaultWaitMs)
    .option('--json', 'print a line of JSON a day')
    .action(async (options: SwapCommandOptions) => {
      const { swap } = await import('./replayer/swap.ts');
      process.exitCode = await swap(direction, options, process);
    });
}
