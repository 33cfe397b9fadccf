import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

/** CPU seconds, user and system, that a process has used (Linux /proc/PID/stat, fields 14 and 15). */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The same of a process and all its children, those that have ended included: a Postgres server with its backends. */
export function treeCpuSeconds(root: number): number {
  const own = statFields(root);
  let ticks = 0;
  // Its own, and (cutime, cstime) of the children it has waited for.
  for (const field of [11, 12, 13, 14]) ticks += Number(own[field]);
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const fields = statFields(Number(name));
      if (Number(fields[1]) === root) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // Ended between the listing and the look.
    }
  }
  return ticks / ticksPerSecond;
}

/** Fields from the third on: the second, the name in parentheses, may hold spaces. */
function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
