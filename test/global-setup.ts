import type { TestProject } from 'vitest/node';
import { startTestServers, type TestServers } from './helpers/servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The superuser's URL, database `postgres`. */
    postgresAdminUrl: string;
    /** `127.0.0.1:PORT`; topics are never made by accident. */
    kafkaBrokers: string;
    /** For the SDK's `endpoint`; takes any credentials. */
    sqsEndpoint: string;
  }
}

declare global {
  /** Each project evaluates this file for itself: what they share lies with the process. */
  var sluiceTestServers: { users: number; readonly servers: Promise<TestServers> } | undefined;
}

/** Starts the servers of a run once, for whichever projects need them, and stops them after the last. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (globalThis.sluiceTestServers ??= { users: 0, servers: startTestServers() });
  shared.users += 1;
  const servers = await shared.servers;
  project.provide('postgresAdminUrl', servers.postgresAdminUrl);
  project.provide('kafkaBrokers', servers.kafkaBrokers);
  project.provide('sqsEndpoint', servers.sqsEndpoint);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    globalThis.sluiceTestServers = undefined;
    await servers.stop();
  };
}
