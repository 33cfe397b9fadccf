import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorName } from '../../shared/errors.ts';
import { sleep } from '../../shared/lifecycle.ts';

/** A limit on the memory of processes, swap included, as a container has it: beyond it the kernel kills. */
export interface MemoryLimit extends AsyncDisposable {
  /** Words before a command, which then runs under the limit from its first page on. */
  readonly within: readonly string[];
  /** Processes that the kernel has killed for it. */
  killed(): Promise<number>;
}

/** The files of either version of control groups. */
interface Layout {
  readonly limits: readonly string[];
  /** Has a line `oom_kill N`. */
  readonly events: string;
}

const version1: Layout = {
  // The second exists only where the kernel accounts for swap, and may not be below the first.
  limits: ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'],
  events: 'memory.oom_control',
};
const version2: Layout = { limits: ['memory.max', 'memory.swap.max'], events: 'memory.events' };

/** Why no limit can be set here; undefined when it can. */
export async function whyNoMemoryLimit(): Promise<string | undefined> {
  try {
    await (await openMemoryLimit(64 * 1_048_576))[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return `a container's memory limit needs control groups that we may write (${errorName(error)})`;
  }
}

/** A control group of its own with a limit, below ours or at the root of the hierarchy. @throws where none can be made */
export async function openMemoryLimit(bytes: number): Promise<MemoryLimit> {
  const failures: unknown[] = [];
  for (const { parent, layout } of await parents()) {
    try {
      return await openBelow(parent, layout, bytes);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0] ?? new Error('no hierarchy of control groups limits memory here');
}

async function openBelow(parent: string, layout: Layout, bytes: number): Promise<MemoryLimit> {
  if (layout === version2) await writeFile(join(parent, 'cgroup.subtree_control'), '+memory');
  const directory = join(parent, `sluice-${randomUUID()}`);
  await mkdir(directory);
  await using opening = new AsyncDisposableStack();
  opening.defer(() => removeGroup(directory));
  const [limit = '', swap = ''] = layout.limits;
  await writeFile(join(directory, limit), String(bytes));
  await writeFile(join(directory, swap), layout === version1 ? String(bytes) : '0').catch(ignoreMissing);
  const owned = opening.move();
  return {
    within: ['/bin/sh', '-c', 'echo $$ > "$0" && exec "$@"', join(directory, 'cgroup.procs')],
    async killed() {
      const events = await readFile(join(directory, layout.events), 'utf8');
      return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? Number.NaN);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Where a group can be made, by what the kernel says of us and of what is mounted. */
async function parents(): Promise<{ parent: string; layout: Layout }[]> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const ours = (await readFile('/proc/self/cgroup', 'utf8')).split('\n').map((line) => line.split(':'));
  const found: { parent: string; layout: Layout }[] = [];
  for (const [, at = '', type, options = ''] of mounts) {
    const first = type === 'cgroup' && options.split(',').includes('memory');
    if (!first && type !== 'cgroup2') continue;
    const own = ours.find(([, names]) => (first ? names?.split(',').includes('memory') : names === ''))?.[2];
    const layout = first ? version1 : version2;
    for (const path of new Set([own ?? '/', '/'])) found.push({ parent: join(at, path), layout });
  }
  return found;
}

/** Its last process may have ended a moment ago. */
async function removeGroup(directory: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await rmdir(directory);
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && /^(ENOENT|EACCES)$/.test(String(error.code))))
    throw error;
}
