import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { stopServers } from '../../services/local-stack/servers.ts';

/**
 * The body of a process of its own: when `input` ends, stops the servers in `directory` and removes it. That is the
 * ordinary way and the last resort alike.
 */
export async function guardServers(directory: string, input: NodeJS.ReadableStream): Promise<void> {
  input.resume();
  await once(input, 'end');
  await stopServers(directory, () => {});
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}
