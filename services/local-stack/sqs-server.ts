import { subscribe } from 'node:diagnostics_channel';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startFauxqs } from 'fauxqs';
import { mendBacklog } from './fauxqs-backlog.ts';
import { loopback } from './tcp-ports.ts';

export interface SqsServerOptions {
  readonly port: number;
  readonly region: string;
  /** Made unless they exist. */
  readonly queues: readonly { readonly name: string; readonly attributes: Record<string, string> }[];
  /** Where queues and messages outlive the process; in memory when left out. */
  readonly dataDirectory?: string;
}

/** Serves SQS until the process ends: the body of a process of its own. */
export async function serveSqs(options: SqsServerOptions): Promise<void> {
  bindToLoopback();
  await mendBacklog();
  if (options.dataDirectory !== undefined) prepareStore(options.dataDirectory);
  await startFauxqs({
    port: options.port,
    logger: false,
    defaultRegion: options.region,
    init: { region: options.region, queues: options.queues.map((queue) => ({ ...queue })) },
    ...(options.dataDirectory === undefined ? {} : { dataDir: options.dataDirectory }),
  });
}

/**
 * fauxqs 2.4 listens on every interface and has no option for it, with no password and the messages inside. Node
 * publishes a server's options before it binds: https://nodejs.org/api/diagnostics_channel.html#event-tracingnetserverlistenasyncstart
 */
function bindToLoopback(): void {
  subscribe('tracing:net.server.listen:asyncStart', (message) => {
    if (typeof message !== 'object' || message === null || !('options' in message)) return;
    if (typeof message.options !== 'object' || message.options === null) return;
    Object.assign(message.options, { host: loopback });
  });
}

/**
 * fauxqs 2.4 writes NULL into the receive count of a message whose visibility is set to 0, which its own table forbids:
 * the call fails and the message is lost. So the table is made here, as fauxqs 2.4.1 makes it (it finds it there) but with
 * a NULL taken for 0.
 */
function prepareStore(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(directory, 'fauxqs.db'));
  try {
    database.exec(`
      create table if not exists sqs_messages (
        message_id text primary key,
        queue_name text not null references sqs_queues(name) on delete cascade,
        body text not null,
        md5_of_body text not null,
        message_attributes text not null,
        md5_of_message_attributes text not null,
        sent_timestamp integer not null,
        approximate_receive_count integer not null on conflict replace default 0,
        approximate_first_receive_timestamp integer,
        delay_until integer,
        message_group_id text,
        message_deduplication_id text,
        sequence_number text,
        receipt_handle text,
        visibility_deadline integer
      )`);
  } finally {
    database.close();
  }
}
