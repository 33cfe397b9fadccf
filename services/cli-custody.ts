import type { Command } from 'commander';
import type { AccessFilter } from '../db/queries/list-access.ts';
import type { ArchiveOptions, RestoreOptions } from './archive/main.ts';
import { commandOf, wholeNumber } from './cli-options.ts';
import type { PeekOptions } from './peek/main.ts';
import type { RecoverOptions } from './recover/main.ts';
import type { ShredOptions } from './shred/main.ts';

/** The commands of those who guard keys and personal data: docs/custody.md. */
export function registerCustody(program: Command): void {
  registerRecover(program);
  registerAudit(program);
  registerPeek(program);
  registerTokens(program);
  registerKeys(program);
  registerShred(program);
  registerArchive(program);
  registerRestore(program);
}

function registerRecover(program: Command): void {
  const recover = commandOf(
    program,
    'recover',
    'Show personal fields in plain text; everything that is opened has its entry in the access log first',
  )
    .enablePositionalOptions()
    .option('--event-id <uuid>', 'one event: its SQS MessageId')
    .option('--day <YYYY-MM-DD>', 'the day of that event, if known: spares the look-up')
    .option('--user-id <id>', 'every event of a user')
    .option('--token <token>', 'every event of a device or an address: a value of a masked column')
    .option('--from <YYYY-MM-DD>', 'with --user-id or --token: the first day')
    .option('--to <YYYY-MM-DD>', 'the last day')
    .option('--reason <text>', 'why it is opened (required)')
    .option('--ticket <id>', 'the request it belongs to (required)')
    .option('--limit <n>', 'events at most', wholeNumber(1, 1_000_000_000))
    .option('--output <file>', 'a new file, encrypted, of JSON lines')
    .option(
      '--encrypt-for <recipient>',
      'who can read that file: an age public key, age1… (repeatable)',
      (recipient: string, others: string[] | undefined) => [...(others ?? []), recipient],
    )
    .option('--require-approval', 'only ask: a second person approves, then --request opens')
    .option('--request <id>', 'use a request that was approved')
    .option('--json', 'print JSON; a line an event and one for the report with --user-id or --token')
    .action(async (options: RecoverOptions) => {
      const { recover } = await import('./recover/main.ts');
      process.exitCode = await recover(options);
    });
  commandOf(recover, 'approve', "Let another person's request go ahead")
    .argument('<id>', 'the request')
    .option('--json', 'print the request as JSON')
    .action(async (id: string, options: { json?: boolean }) => {
      const { approve } = await import('./recover/main.ts');
      process.exitCode = await approve(id, options);
    });
  commandOf(recover, 'requests', 'Requests for approval, the newest first')
    .option('--json', 'print a line of JSON a request')
    .action(async (options: { json?: boolean }) => {
      const { requests } = await import('./recover/main.ts');
      process.exitCode = await requests(options);
    });
}

function registerAudit(program: Command): void {
  const audit = commandOf(
    program,
    'audit',
    'The access log: who opened what and why, and that nobody changed it',
  );
  commandOf(audit, 'verify', 'Compute its hash chain anew and compare it with every head that was kept')
    .option(
      '--head <id:hash>',
      'a head that was kept (repeatable)',
      (head: string, others: string[] | undefined) => [...(others ?? []), head],
    )
    .option('--no-heads', 'do not look for those that maintain has exported to ARCHIVE_URL')
    .option('--json', 'print JSON')
    .action(async (options: { head?: string[]; heads: boolean; json?: boolean }) => {
      const { auditVerify } = await import('./audit/main.ts');
      process.exitCode = await auditVerify(options);
    });
  commandOf(audit, 'head', 'Its last entry and hash, to be kept elsewhere')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { auditHead } = await import('./audit/main.ts');
      process.exitCode = await auditHead(options);
    });
  commandOf(audit, 'list', 'Entries, the newest first')
    .option('--since <time>', '2026-11-24 or 2026-11-24T08:00:00Z')
    .option('--actor <login>', 'who')
    .option('--action <name>', 'recover, request, approve, peek, shred …')
    .option('--ticket <id>', 'under which ticket')
    .option('--subject <part>', 'what: part of the subject')
    .option('--limit <n>', 'entries at most', wholeNumber(1, 1_000_000_000), 100)
    .option('--json', 'print a line of JSON an entry')
    .action(async (options: AccessFilter & { limit: number; json?: boolean }) => {
      const { auditList } = await import('./audit/main.ts');
      process.exitCode = await auditList(options);
    });
}

function registerPeek(program: Command): void {
  const peek = commandOf(
    program,
    'peek',
    'Records of a topic: where they lie, how large and how sealed they are; never their contents without a reason',
  );
  const topic = (which: 'raw' | 'dead', description: string) =>
    commandOf(peek, which, description)
      .option('--partition <n>', 'only this one', wholeNumber(0, 1_000_000))
      .option('--from-offset <n>', 'of that partition, from this offset on')
      .option('--from <time>', 'from then on: 2026-11-24 or 2026-11-24T08:00:00Z (default: the newest)')
      .option('--limit <n>', 'records at most', wholeNumber(1, 10_000), 20)
      .option('--bodies', 'open them, as the recoverer; each has its entry in the access log first')
      .option('--reason <text>', 'with --bodies: why')
      .option('--ticket <id>', 'with --bodies: the request it belongs to')
      .option('--json', 'print a line of JSON a record')
      .action(async (options: PeekOptions) => {
        const { peek } = await import('./peek/main.ts');
        process.exitCode = await peek(which, options);
      });
  topic('raw', 'The raw topic');
  topic('dead', 'The dead-letter topic, with why each is there');
}

function registerTokens(program: Command): void {
  const tokens = commandOf(
    program,
    'tokens',
    'Rotate the secret that tokens are made with, so that joins go on',
  );
  const rotation = (name: string, description: string) =>
    commandOf(tokens, name, description)
      .option('--reason <text>', 'why, for the access log', 'rotation of the token pepper')
      .option('--ticket <id>', 'the request it belongs to', 'none')
      .option('--json', 'print JSON');
  commandOf(tokens, 'status', 'Token epochs, and which tokens the live rows have')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { tokensStatus } = await import('./tokens/main.ts');
      process.exitCode = await tokensStatus(options);
    });
  rotation('rotate', 'Begin a new epoch: rows have tokens of both until it is finished').action(
    async (options: { reason: string; ticket: string; json?: boolean }) => {
      const { tokensRotate } = await import('./tokens/main.ts');
      process.exitCode = await tokensRotate(options);
    },
  );
  commandOf(tokens, 'retoken', 'Give old rows tokens of the current epoch, through the recovery door')
    .requiredOption('--reason <text>', 'why rows are opened')
    .requiredOption('--ticket <id>', 'the request it belongs to')
    .option('--json', 'print JSON')
    .action(async (options: { reason: string; ticket: string; json?: boolean }) => {
      const { tokensRetoken } = await import('./tokens/main.ts');
      process.exitCode = await tokensRetoken(options);
    });
  rotation('finish', 'End the epoch before, and clear its tokens')
    .option('--leave-stale', 'although some rows keep tokens of an epoch before: their fields do not open')
    .action(async (options: { reason: string; ticket: string; leaveStale?: boolean; json?: boolean }) => {
      const { tokensFinish } = await import('./tokens/main.ts');
      process.exitCode = await tokensFinish(options);
    });
}

function registerKeys(program: Command): void {
  commandOf(program, 'keys', 'Where every key is; exit code 1 when vault and database do not agree')
    .option('--day <YYYY-MM-DD>', 'one day only')
    .option('--json', 'print JSON')
    .action(async (options: { day?: string; json?: boolean }) => {
      const { keys } = await import('./keys/main.ts');
      process.exitCode = await keys(options);
    });
}

function registerShred(program: Command): void {
  commandOf(
    program,
    'shred',
    'Destroy the private keys and tokens of a day, or erase one user; leaves its order and proof',
  )
    .option('--day <YYYY-MM-DD>', 'a day that is over: nothing opens its fields any more')
    .option('--user-id <id>', 'a user: the personal fields of every row sent before now')
    .option('--token-epoch <n>', 'a retired token epoch: its pepper')
    .requiredOption('--reason <text>', 'why it is destroyed')
    .requiredOption('--ticket <id>', 'the request it belongs to')
    .option('--dry-run', 'say what is there and change nothing')
    .option('--json', 'print JSON')
    .action(async (options: ShredOptions) => {
      const { shred } = await import('./shred/main.ts');
      process.exitCode = await shred(options);
    });
}

function registerArchive(program: Command): void {
  commandOf(program, 'archive', 'Take old days out of the database, with their keys, into ARCHIVE_URL')
    .requiredOption('--older-than <days>', 'days that are older: 90d')
    .option('--day <YYYY-MM-DD>', 'only that one')
    .option('--dry-run', 'say which, and change nothing')
    .option('--json', 'print a line of JSON a day')
    .action(async (options: ArchiveOptions) => {
      const { archive } = await import('./archive/main.ts');
      process.exitCode = await archive(options);
    });
}

function registerRestore(program: Command): void {
  commandOf(program, 'restore', 'Bring a day back from the archive, byte for byte')
    .requiredOption('--day <YYYY-MM-DD>', 'the day')
    .option('--keep <days>', 'how long maintain leaves it in the database', '7d')
    .option('--json', 'print JSON')
    .action(async (options: RestoreOptions) => {
      const { restore } = await import('./archive/main.ts');
      process.exitCode = await restore(options);
    });
}
