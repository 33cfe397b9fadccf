import net from 'node:net';
import tls from 'node:tls';
import kafkajs, { type Kafka, type LogEntry, type SASLOptions } from 'kafkajs';
import type { Logger } from '../log.ts';
import { outOfRangeMessage } from './kafkajs-assignment.ts';
import { patchKafkajs } from './kafkajs-patches.ts';

interface Credentials {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaClientOptions {
  /** `host:port`, any of the cluster. */
  readonly brokers: readonly string[];
  /** Shown in the brokers' logs and quotas. */
  readonly clientId: string;
  readonly log: Logger;
  /** Undefined: no TLS. Authorities that are not among those of every machine, and a certificate of ours, in PEM. */
  readonly tls?: Pick<tls.ConnectionOptions, 'ca' | 'cert' | 'key'> | undefined;
  readonly sasl?: Credentials | undefined;
  /** How long a broker may take to answer (default 10 s). Then the connection is cut, for it may be half open. */
  readonly requestTimeoutMs?: number;
  readonly connectionTimeoutMs?: number;
}

/** How to reach a cluster. Holds no connection: each producer, consumer and administrative call opens its own. */
export interface KafkaClient {
  readonly log: Logger;
  readonly requestTimeoutMs: number;
  open(): OpenKafka;
}

/**
 * A kafkajs instance of one user: kafkajs keeps committed offsets by group and instance, so that two consumers of one
 * group sharing an instance would overwrite each other's.
 */
export interface OpenKafka {
  readonly kafka: Kafka;
  /** Cuts the connections to one broker (`host:port`); kafkajs fails what was under way and connects anew. */
  cut(broker: string): void;
  /** Cuts all connections and refuses new ones: whatever still waits for a broker fails at once. */
  abort(): void;
}

/** Patches kafkajs and says how to reach the cluster; connects to nothing. */
export function createKafkaClient(options: KafkaClientOptions): KafkaClient {
  patchKafkajs();
  const requestTimeoutMs = options.requestTimeoutMs ?? 10_000;
  let opened = 0;
  const open = () => {
    // kafkajs begins with the first and stays with one that accepts connections and never answers: the next begins elsewhere.
    const first = opened % options.brokers.length;
    opened += 1;
    const brokers = [...options.brokers.slice(first), ...options.brokers.slice(0, first)];
    return openKafka({ ...options, brokers }, requestTimeoutMs);
  };
  return { log: options.log, requestTimeoutMs, open };
}

function openKafka(options: KafkaClientOptions, requestTimeoutMs: number): OpenKafka {
  const sockets = new Map<net.Socket, string>();
  let aborted = false;
  const kafka = new kafkajs.Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: options.connectionTimeoutMs ?? 3_000,
    ...(options.tls === undefined ? {} : { ssl: options.tls }),
    ...(options.sasl === undefined ? {} : { sasl: saslOf(options.sasl) }),
    // Short: an outage comes up to us, who say so, back off and decide.
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 500, restartOnFailure: async () => false },
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => logQuietly(options.log, entry),
    socketFactory: ({ host, port, ssl, onConnect }) => {
      // Without noDelay a request behind another waits for the delayed ACK of the first.
      const socket = ssl
        ? tls.connect(
            { host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...ssl },
            onConnect,
          )
        : net.connect({ host, port, noDelay: true }, onConnect);
      socket.setNoDelay(true).setKeepAlive(true, 30_000);
      // kafkajs lets go of sockets that are closed already, and each time leaves a listener behind.
      socket.setMaxListeners(0);
      sockets.set(socket, `${host}:${port}`);
      socket.once('close', () => sockets.delete(socket));
      if (aborted) destroy(socket);
      return socket;
    },
  });
  const cut = (broker?: string) => {
    for (const [socket, to] of sockets) if (broker === undefined || broker === to) destroy(socket);
  };
  return {
    kafka,
    cut,
    abort: () => {
      aborted = true;
      cut();
    },
  };
}

/** kafkajs's type has a shape for each mechanism. */
function saslOf({ mechanism, username, password }: Credentials): SASLOptions {
  if (mechanism === 'plain') return { mechanism, username, password };
  if (mechanism === 'scram-sha-256') return { mechanism, username, password };
  return { mechanism, username, password };
}

/** With an error, because kafkajs rejects waiting requests on 'error' and 'end' but does not listen to 'close'. */
function destroy(socket: net.Socket): void {
  socket.destroy(Object.assign(new Error('cut'), { code: 'ECONNABORTED' }));
}

/**
 * kafkajs's messages quote errors of handlers and servers, so only its component, the broker and the system's error
 * name pass, at debug: what an operator must know is logged by our adapters.
 */
function logQuietly(log: Logger, { namespace, label, log: content }: LogEntry): void {
  if (content.message === outOfRangeMessage) {
    log.warn({ topic: String(content['topic']), partition: Number(content['partition']) }, outOfRangeMessage);
    return;
  }
  const broker: unknown = content['broker'];
  const code =
    /\bE(?:CONN(?:REFUSED|RESET|ABORTED)|TIMEDOUT|PIPE|NOTFOUND|AI_AGAIN|HOSTUNREACH|NETUNREACH)\b/.exec(
      content.message,
    )?.[0];
  log.debug(
    { component: namespace, severity: label, code, broker: typeof broker === 'string' ? broker : undefined },
    'kafkajs',
  );
}
