import type { Command } from 'commander';
import type { Env } from '../shared/config.ts';
import { commandOf } from './cli-options.ts';

/** The commands of those who watch: docs/observability.md. */
export function registerWatch(program: Command): void {
  registerStatus(program);
  registerDoctor(program);
  registerConsole(program);
}

function registerStatus(program: Command): void {
  commandOf(
    program,
    'status',
    'Whether the pipeline is well, what is behind, and why; exit code 1 when it is not',
  )
    .option('--watch', 'again and again, until Ctrl-C')
    .option('--json', 'print JSON, with --watch a line a look')
    .action(async (options: { json?: boolean; watch?: boolean }) => {
      const { status } = await import('./console/main.ts');
      process.exitCode = await status(options);
    });
}

function registerDoctor(program: Command): void {
  commandOf(
    program,
    'doctor',
    'Every setting, server, right, clock and horizon: what is wrong, and what to do',
  )
    .option(
      '--for <process>',
      'whose settings must all be here: connector, writer … (repeatable)',
      (name: string, others: string[] | undefined) => [...(others ?? []), name],
    )
    .option('--json', 'print JSON')
    .action(async (options: { for?: string[]; json?: boolean }) => {
      const { doctor } = await import('./doctor/main.ts');
      process.exitCode = await doctor(options, await everyProcess());
    });
}

/** Who reads settings, by the name of its command. The doctor imports no other service: it is handed what reads them. */
async function everyProcess(): Promise<{ name: string; parse: (env: Env) => unknown }[]> {
  const [
    connector,
    writer,
    maintenance,
    migrate,
    verify,
    watch,
    dlq,
    recover,
    shred,
    tokens,
    keys,
    audit,
    archive,
  ] = await Promise.all([
    import('./connector/config.ts'),
    import('./writer/config.ts'),
    import('./maintenance/config.ts'),
    import('./migrate/config.ts'),
    import('./verify/config.ts'),
    import('./console/config.ts'),
    import('./dlq/config.ts'),
    import('./recover/config.ts'),
    import('./shred/config.ts'),
    import('./tokens/config.ts'),
    import('./keys/config.ts'),
    import('./audit/config.ts'),
    import('./archive/config.ts'),
  ]);
  return [
    { name: 'connector', parse: connector.parseConnectorConfig },
    { name: 'writer', parse: writer.writerConfig },
    { name: 'maintain', parse: maintenance.maintenanceConfig },
    { name: 'migrate', parse: migrate.migrateConfig },
    { name: 'verify', parse: verify.verifyConfig },
    { name: 'status', parse: watch.statusConfig },
    { name: 'console', parse: watch.consoleConfig },
    { name: 'dlq', parse: dlq.dlqConfig },
    { name: 'recover', parse: recover.openConfig },
    { name: 'shred', parse: shred.shredConfig },
    { name: 'tokens', parse: tokens.retokenConfig },
    { name: 'keys', parse: keys.keysConfig },
    { name: 'audit', parse: audit.auditConfig },
    { name: 'archive', parse: archive.archiveConfig },
  ];
}

function registerConsole(program: Command): void {
  commandOf(program, 'console', 'The same as "status" as a page in the browser, until SIGTERM; read-only')
    .option('--pretty', 'log lines for people instead of JSON')
    .action(async (options: { pretty?: boolean }) => {
      const { consolePage } = await import('./console/main.ts');
      process.exitCode = await consolePage(options);
    });
}
