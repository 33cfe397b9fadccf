import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { loopback } from '../../services/local-stack/tcp-ports.ts';

/** `up`: client → server. `down`: server → client. */
export type Direction = 'up' | 'down';

const directions: readonly Direction[] = ['up', 'down'];

/** Bytes of a direction that may wait in the proxy; beyond it the sender's own buffers fill, as on a slow network. */
const waitingBytes = 262_144;

/** What a proxy does to the bytes of a direction. Read anew for every chunk, so that it can change at any time. */
interface Weather {
  stalled: boolean;
  delayMs: number;
  /** Connections are cut once this many more bytes have passed, in the middle of whatever they are. */
  truncateAfter: number | undefined;
  /** The chance that a chunk is the last of its connection: half of it passes. */
  cutChance: number;
}

/**
 * A TCP proxy in front of one server, for tests: it fails as networks do, on demand and at run time. Listens on the loopback.
 *
 * What it does to connections that exist and to those that come is said at each method. {@link TcpProxy.heal} takes everything
 * back, except for connections that are cut or half open: those are lost for good, as in life.
 */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #targetPort: number;
  readonly #random: () => number;
  readonly #links = new Set<Link>();
  readonly #weather: Readonly<Record<Direction, Weather>> = { up: fair(), down: fair() };
  #server: Server | undefined;

  private constructor(port: number, targetPort: number, random: () => number) {
    this.port = port;
    this.#targetPort = targetPort;
    this.#random = random;
  }

  /** Listens on `port` (0: any) and connects each client to `targetPort`. `random` decides what {@link TcpProxy.flaky} cuts. */
  static async open(options: {
    readonly targetPort: number;
    readonly port?: number;
    readonly random?: () => number;
  }): Promise<TcpProxy> {
    const random = options.random ?? Math.random;
    const first = new TcpProxy(options.port ?? 0, options.targetPort, random);
    await first.#listen();
    const address = first.#server?.address();
    if (first.port !== 0 || typeof address !== 'object' || address === null) return first;
    const proxy = new TcpProxy(address.port, options.targetPort, random);
    await first.#unlisten();
    await proxy.#listen();
    return proxy;
  }

  /** Connections that are being served, half-open ones included. */
  get connections(): number {
    return this.#links.size;
  }

  /** Ends every connection with a reset, at both ends. New ones are served. */
  cut(): void {
    for (const link of this.#links) link.cut();
  }

  /** Nobody listens any more: new connections are refused by the kernel. Those that exist stay. */
  async refuse(): Promise<void> {
    await this.#unlisten();
  }

  /** Bytes wait, of old connections and new: nothing is lost, nothing arrives. Until {@link TcpProxy.heal}. */
  stall(...which: Direction[]): void {
    for (const direction of which.length > 0 ? which : directions) this.#weather[direction].stalled = true;
  }

  /** Every byte takes this much longer; the bandwidth stays what it was. */
  delay(ms: number, ...which: Direction[]): void {
    for (const direction of which.length > 0 ? which : directions) this.#weather[direction].delayMs = ms;
  }

  /**
   * The peers of connections that exist have gone without a word: what is sent is swallowed and no end, FIN or RST, of either side
   * reaches the other. New connections are served. Says how many there were.
   */
  halfOpen(): number {
    let count = 0;
    for (const link of this.#links) {
      if (link.goSilent()) count += 1;
    }
    return count;
  }

  /** Connections are cut in mid-message once `bytes` more have passed this way on each of them. */
  truncate(bytes: number, direction: Direction): void {
    this.#weather[direction].truncateAfter = bytes;
  }

  /** Each chunk is with this probability the last of its connection. */
  flaky(chance: number): void {
    for (const direction of directions) this.#weather[direction].cutChance = chance;
  }

  /** Fair weather: listens again and passes everything, also what was stalled. */
  async heal(): Promise<void> {
    for (const direction of directions) Object.assign(this.#weather[direction], fair());
    for (const link of this.#links) link.wake();
    if (this.#server === undefined) await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unlisten();
    this.cut();
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#serve(client));
    server.listen(this.port, loopback);
    await once(server, 'listening');
    this.#server = server;
  }

  /** Does not wait for connections to end, which they need not. */
  async #unlisten(): Promise<void> {
    this.#server?.close();
    this.#server = undefined;
  }

  #serve(client: Socket): void {
    const server = connect({
      port: this.#targetPort,
      host: loopback,
      allowHalfOpen: true,
      noDelay: true,
    });
    const link = new Link(client, server, this.#weather, this.#random, () => this.#links.delete(link));
    this.#links.add(link);
  }
}

function fair(): Weather {
  return { stalled: false, delayMs: 0, truncateAfter: undefined, cutChance: 0 };
}

interface Waiting {
  readonly bytes: Buffer | 'end';
  readonly dueAt: number;
}

/** A client and its connection to the server. */
class Link {
  readonly #ends: Readonly<Record<Direction, { from: Socket; to: Socket }>>;
  readonly #weather: Readonly<Record<Direction, Weather>>;
  readonly #random: () => number;
  readonly #gone: () => void;
  readonly #queues: Readonly<Record<Direction, Waiting[]>> = { up: [], down: [] };
  readonly #passed: Record<Direction, number> = { up: 0, down: 0 };
  readonly #timers: Record<Direction, NodeJS.Timeout | undefined> = { up: undefined, down: undefined };
  #silent = false;
  #cut = false;
  #open = 2;

  constructor(
    client: Socket,
    server: Socket,
    weather: Readonly<Record<Direction, Weather>>,
    random: () => number,
    gone: () => void,
  ) {
    this.#ends = { up: { from: client, to: server }, down: { from: server, to: client } };
    this.#weather = weather;
    this.#random = random;
    this.#gone = gone;
    for (const direction of directions) this.#read(direction);
  }

  wake(): void {
    for (const direction of directions) {
      // What comes is limited anew, from here.
      this.#passed[direction] = 0;
      this.#pump(direction);
    }
  }

  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    for (const direction of directions) {
      clearTimeout(this.#timers[direction]);
      this.#ends[direction].from.resetAndDestroy();
    }
  }

  /** False when it was silent already. */
  goSilent(): boolean {
    if (this.#silent) return false;
    this.#silent = true;
    for (const direction of directions) {
      this.#queues[direction].length = 0;
      this.#ends[direction].from.resume();
    }
    return true;
  }

  #read(direction: Direction): void {
    const { from, to } = this.#ends[direction];
    const queue = this.#queues[direction];
    const add = (bytes: Buffer | 'end') => {
      if (this.#silent) return;
      queue.push({ bytes, dueAt: performance.now() + this.#weather[direction].delayMs });
      if (sizeOf(queue) > waitingBytes) from.pause();
      this.#pump(direction);
    };
    from.on('data', add);
    from.on('end', () => add('end'));
    to.on('drain', () => this.#pump(direction));
    // A reset of one side resets the other, unless that one must not hear of it.
    from.on('error', () => {
      if (!this.#silent) this.cut();
    });
    from.on('close', () => {
      this.#open -= 1;
      if (!this.#silent && from.errored !== null) this.cut();
      if (this.#open === 0) this.#gone();
    });
  }

  #pump(direction: Direction): void {
    const weather = this.#weather[direction];
    const { from, to } = this.#ends[direction];
    const queue = this.#queues[direction];
    while (!this.#cut && !this.#silent && !weather.stalled && !to.writableNeedDrain) {
      const [next] = queue;
      if (next === undefined) break;
      const waitMs = next.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timers[direction] ??= setTimeout(() => {
          this.#timers[direction] = undefined;
          this.#pump(direction);
        }, waitMs);
        break;
      }
      queue.shift();
      this.#pass(direction, next.bytes);
    }
    if (!this.#silent && sizeOf(queue) <= waitingBytes) from.resume();
  }

  #pass(direction: Direction, bytes: Buffer | 'end'): void {
    const { to } = this.#ends[direction];
    const { truncateAfter, cutChance } = this.#weather[direction];
    if (bytes === 'end') {
      to.end();
      return;
    }
    const room = truncateAfter === undefined ? Infinity : truncateAfter - this.#passed[direction];
    const truncated = bytes.length >= room;
    if (!truncated && !(cutChance > 0 && this.#random() < cutChance)) {
      this.#passed[direction] += bytes.length;
      to.write(bytes);
      return;
    }
    // Written first, then reset: the peer has part of a message, and then an error.
    const part = bytes.subarray(0, truncated ? room : bytes.length >> 1);
    to.write(part, () => this.cut());
  }
}

function sizeOf(queue: readonly Waiting[]): number {
  return queue.reduce((sum, { bytes }) => sum + (bytes === 'end' ? 0 : bytes.length), 0);
}
