import type { ServerStatus } from './local-stack.ts';

/** What `sluice stack status` shows to a person. */
export function statusTable(servers: readonly ServerStatus[]): string {
  if (servers.length === 0) return 'there is no local stack: run "npx sluice stack up"';
  const rows = [
    ['SERVER', 'PORT', 'PID', 'HEALTH', 'LOG'],
    ...servers.map(({ server, port, pid, health, log }) => [
      server,
      String(port),
      pid === undefined ? '-' : String(pid),
      health,
      log,
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).join('\n');
}
