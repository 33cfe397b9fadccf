import { Readable } from 'node:stream';
import { pipeline as streamInto } from 'node:stream/promises';
import { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { treeCpuSeconds } from './process-cost.ts';
import type { Sample } from './sink.ts';

/** Copies columns only, in one order, so that what was read from one table goes into another. */
const columns = `create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale, app_version,
  app_version_text, ip_sealed, device_id_sealed, dek_id`;

/** The rows of `user_logins` as COPY writes them, in memory. */
export async function copyOut(url: string): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  await withClient(url, async (client) => {
    const out = client.query(copyTo(`copy (select ${columns} from user_logins) to stdout`));
    for await (const chunk of out) chunks.push(Buffer.from(chunk));
  });
  return chunks;
}

/** COPY of `rows` rows, sealed already, by one client into the table of `url`, which is empty: what Postgres takes at best. */
export async function measureCopy(
  url: string,
  options: { readonly chunks: readonly Buffer[]; readonly rows: number; readonly postgresPid: number },
): Promise<Sample> {
  const { chunks, rows, postgresPid } = options;
  return await withClient(url, async (client) => {
    const before = { at: performance.now(), cpu: process.cpuUsage(), postgres: treeCpuSeconds(postgresPid) };
    await streamInto(
      Readable.from(chunks),
      client.query(copyFrom(`copy user_logins (${columns}) from stdin`)),
    );
    const seconds = (performance.now() - before.at) / 1_000;
    const { user, system } = process.cpuUsage(before.cpu);
    return {
      perSecond: rows / seconds,
      cpuMicros: (user + system) / rows,
      postgresMicros: ((treeCpuSeconds(postgresPid) - before.postgres) / rows) * 1e6,
    };
  });
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
