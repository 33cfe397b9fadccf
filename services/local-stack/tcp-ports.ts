import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export const loopback = '127.0.0.1';

/** Whether `port` can be had on the loopback: nothing listens on it, on whatever interface, and binding succeeds. */
export type PortProbe = (port: number) => Promise<boolean>;

/**
 * The first of `wanted` that is free and not in `taken`, otherwise any port the kernel has. `wanted` holds what the last
 * run used before what everybody uses.
 */
export async function choosePort(
  wanted: readonly number[],
  taken: ReadonlySet<number>,
  probe: PortProbe = isFree,
  anyPort: () => Promise<number> = freePort,
): Promise<number> {
  for (const port of wanted) {
    if (!taken.has(port) && (await probe(port))) return port;
  }
  for (;;) {
    const port = await anyPort();
    if (!taken.has(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  // A listener on every interface does not keep BSD kernels from binding the loopback: ask it first.
  return !(await accepts(port)) && (await bind(port)) !== undefined;
}

async function freePort(): Promise<number> {
  const port = await bind(0);
  if (port === undefined) throw new Error('the kernel has no free port');
  return port;
}

/** Whether something accepts connections on the loopback's `port`. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, loopback);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function bind(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen({ port, host: loopback, exclusive: true });
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address ? address.port : undefined;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
