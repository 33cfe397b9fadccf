import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './pipeline.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Echoes, in upper case, so that what comes back has been to the server. */
let server: Server;
let proxy: TcpProxy;
const accepted: Socket[] = [];
const clients: Socket[] = [];

beforeEach(async () => {
  server = createServer({ allowHalfOpen: false }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => socket.write(bytes.toString('latin1').toUpperCase()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  proxy = await TcpProxy.open({ targetPort: address.port, random: () => 0.5 });
});

afterEach(async () => {
  for (const socket of [...clients.splice(0), ...accepted.splice(0)]) socket.destroy();
  await proxy[Symbol.asyncDispose]();
  server.close();
});

/** A client of the proxy, with what it has received and how it ended. */
async function client() {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  const seen = { received: '', ended: false, error: undefined as string | undefined };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    seen.received += text;
  });
  socket.on('end', () => {
    seen.ended = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code;
  });
  await once(socket, 'connect');
  return { socket, seen };
}

const answered = (seen: { received: string }, text: string) =>
  eventually(`${text} received`, () => seen.received === text, 5_000);

/** As long as anything could take that should not happen. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 50));

describe('a TCP proxy', () => {
  test('passes bytes and ends both ways', async () => {
    const { socket, seen } = await client();
    socket.write('ab');
    await answered(seen, 'AB');
    socket.end();
    await eventually('nothing left', () => proxy.connections === 0, 5_000);
    expect(seen).toEqual({ received: 'AB', ended: true, error: undefined });
  });

  test('passes megabytes in order', async () => {
    const { socket, seen } = await client();
    const sent = Array.from({ length: 200_000 }, (_, i) => `n${i} `).join('');
    socket.write(sent);
    await eventually('all of it', () => seen.received.length === sent.length, 10_000);
    expect(seen.received === sent.toUpperCase()).toBe(true);
  });

  test('cut: both ends see a reset, and the next connection works', async () => {
    const { socket, seen } = await client();
    socket.write('a');
    await answered(seen, 'A');
    let atServer: string | undefined;
    accepted[0]?.on('error', (error: NodeJS.ErrnoException) => {
      atServer = error.code;
    });
    proxy.cut();
    await eventually('resets', () => seen.error === 'ECONNRESET' && atServer === 'ECONNRESET', 5_000);
    const again = await client();
    again.socket.write('b');
    await answered(again.seen, 'B');
    expect(again.seen.error).toBeUndefined();
  });

  test('refuse: the kernel refuses new connections, those that exist go on, and healing ends it', async () => {
    const { socket, seen } = await client();
    await proxy.refuse();
    await expect(client()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    socket.write('a');
    await answered(seen, 'A');
    await proxy.heal();
    const again = await client();
    again.socket.write('b');
    await answered(again.seen, 'B');
  });

  test('stall: a new connection is accepted, nothing arrives, and all of it does once healed', async () => {
    proxy.stall();
    const { socket, seen } = await client();
    socket.write('a');
    await quiet();
    expect(seen).toEqual({ received: '', ended: false, error: undefined });
    await proxy.heal();
    await answered(seen, 'A');
  });

  test('stall of one direction: the server hears, the client does not', async () => {
    proxy.stall('down');
    const { socket, seen } = await client();
    let heard = '';
    await eventually('connected', () => accepted.length === 1, 5_000);
    accepted[0]?.on('data', (bytes) => {
      heard += bytes.toString('latin1');
    });
    socket.write('a');
    await eventually('heard', () => heard === 'a', 5_000);
    expect(seen.received).toBe('');
    await proxy.heal();
    await answered(seen, 'A');
  });

  test('delay: bytes come no earlier, and in order', async () => {
    proxy.delay(60, 'down');
    const { socket, seen } = await client();
    const began = performance.now();
    for (const text of ['a', 'b', 'c']) socket.write(text);
    await answered(seen, 'ABC');
    expect(performance.now() - began).toBeGreaterThanOrEqual(59);
  });

  test('half open: neither side hears of the end of the other, and new connections are served', async () => {
    const { socket, seen } = await client();
    socket.write('a');
    await answered(seen, 'A');
    expect(proxy.halfOpen()).toBe(1);
    socket.write('lost');
    accepted[0]?.resetAndDestroy();
    await quiet();
    expect(seen).toEqual({ received: 'A', ended: false, error: undefined });
    expect(socket.closed).toBe(false);
    const again = await client();
    again.socket.write('b');
    await answered(again.seen, 'B');
    await proxy.heal();
    await quiet();
    expect(seen.received).toBe('A');
  });

  test('half open: a client that resets leaves the server waiting', async () => {
    const { socket, seen } = await client();
    socket.write('a');
    await answered(seen, 'A');
    proxy.halfOpen();
    socket.resetAndDestroy();
    await quiet();
    expect(accepted[0]?.closed).toBe(false);
  });

  test('truncate: so many bytes and a reset, in the middle of a message', async () => {
    proxy.truncate(10, 'down');
    const { socket, seen } = await client();
    socket.write('a'.repeat(30));
    await eventually('reset', () => seen.error === 'ECONNRESET', 5_000);
    expect(seen.received).toBe('A'.repeat(10));
  });

  test('flaky: the dice decide which chunk is the last of its connection', async () => {
    proxy.flaky(0.4);
    const lucky = await client();
    lucky.socket.write('a');
    await answered(lucky.seen, 'A');
    proxy.flaky(0.6);
    const unlucky = await client();
    unlucky.socket.write('abcdef');
    await eventually('reset', () => unlucky.seen.error === 'ECONNRESET', 5_000);
    expect(unlucky.seen.received).toBe('');
  });
});
