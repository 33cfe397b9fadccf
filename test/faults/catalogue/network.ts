import type { TcpProxy } from '../../helpers/tcp-proxy.ts';
import type { Fault, FaultContext } from '../fault.ts';

function everyProxy({ proxies }: FaultContext): TcpProxy[] {
  return [proxies.postgres, proxies.sqs, ...proxies.kafka];
}

async function healed(context: FaultContext, proxies: readonly TcpProxy[]): Promise<void> {
  await Promise.all(proxies.map((proxy) => proxy.heal()));
  context.proxies.postgres.cut();
}

/**
 * The writer goes without a word when its rows are in and its ledger is not. **What it left is an open transaction that holds these rows**,
 * for whoever writes them next to wait for.
 */
function leaveTransactionOpen(context: FaultContext): Promise<void> {
  return context.beforeLedger(() => {
    context.proxies.postgres.halfOpen();
  });
}

/** The longest silence that is taken for an answer to come: a statement's 35 s, in messages, and then some. */
const statementSilence = 24_000;

export const postgresHalfOpen: Fault = {
  name: 'half-open to Postgres',
  resumesWithin: statementSilence,
  async inject(context) {
    await leaveTransactionOpen(context);
    await context.sends(100);
  },
};

/** Requests to a broker wait ten seconds. */
export const kafkaHalfOpen: Fault = {
  name: 'half-open to Kafka',
  resumesWithin: 20_000,
  async inject(context) {
    for (const proxy of context.proxies.kafka) proxy.halfOpen();
    await context.sends(100);
  },
};

/** A long poll is given up after 25 s. What it would have brought is visible again before. */
export const sqsHalfOpen: Fault = {
  name: 'half-open to SQS',
  resumesWithin: 20_000,
  async inject(context) {
    context.proxies.sqs.halfOpen();
    await context.sends(100);
  },
};

/** All at once: the short form waits only once. */
export const everythingHalfOpen: Fault = {
  name: 'half-open to all servers at once',
  resumesWithin: statementSilence,
  async inject(context) {
    await leaveTransactionOpen(context);
    for (const proxy of everyProxy(context)) proxy.halfOpen();
    await context.sends(100);
  },
};

export const latency: Fault = {
  name: '500 ms latency',
  async inject(context) {
    for (const proxy of everyProxy(context)) proxy.delay(250);
    await context.flows(context.long ? 5_000 : 500);
    for (const proxy of everyProxy(context)) await proxy.heal();
  },
};

export const flakyNetwork: Fault = {
  name: 'one in a hundred packets cuts its connection',
  async inject(context) {
    for (const proxy of everyProxy(context)) proxy.flaky(0.01);
    await context.flows(context.long ? 5_000 : 300);
    for (const proxy of everyProxy(context)) await proxy.heal();
  },
};

/** Connected, and nothing comes: what a frozen server looks like. */
export const everythingStalled: Fault = {
  name: 'all servers stalled',
  async inject(context) {
    for (const proxy of everyProxy(context)) proxy.stall();
    await context.sends(context.long ? 8_000 : 800);
    for (const proxy of everyProxy(context)) await proxy.heal();
  },
};

export const everythingRefused: Fault = {
  name: 'all servers refuse connections',
  async inject(context) {
    const proxies = everyProxy(context);
    for (const proxy of proxies) {
      await proxy.refuse();
      proxy.cut();
    }
    await context.sends(context.long ? 8_000 : 800);
    await healed(context, proxies);
  },
};

/** In the middle of a statement, of a produce request, of the answer to either. */
export const truncated: Fault = {
  name: 'connections cut in mid-message',
  async inject(context) {
    for (let round = 0; round < (context.long ? 20 : 4); round++) {
      const direction = round % 2 === 0 ? 'up' : 'down';
      for (const proxy of everyProxy(context)) proxy.truncate(context.between(300, 20_000), direction);
      await context.sends(200);
      await Promise.all(everyProxy(context).map((proxy) => proxy.heal()));
      await context.flows(50);
    }
  },
};
