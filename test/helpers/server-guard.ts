import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { capture } from '../../services/local-stack/commands.ts';
import { stopServers } from '../../services/local-stack/servers.ts';

/**
 * The body of a process of its own: when `input` ends, stops the servers in `directory`, takes disks mounted there away and removes it. That is the
 * ordinary way and the last resort alike.
 */
export async function guardServers(directory: string, input: NodeJS.ReadableStream): Promise<void> {
  input.resume();
  await once(input, 'end');
  await stopServers(directory, () => {});
  for (const at of await mountedBelow(directory)) await capture('umount', [at]);
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Disks that a test has mounted; proc(5) writes a space as `\\040`, of which our directories have none. */
async function mountedBelow(directory: string): Promise<string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  return mounts.split('\n').flatMap((line) => {
    const [, at = ''] = line.split(' ');
    return at.startsWith(`${directory}/`) ? [at] : [];
  });
}
