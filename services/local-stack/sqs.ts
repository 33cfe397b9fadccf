import { join } from 'node:path';
import { nodeProgram } from './processes.ts';
import type { Server } from './server.ts';
import type { SqsServerOptions } from './sqs-server.ts';
import type { StackPaths } from './stack-state.ts';
import { loopback } from './tcp-ports.ts';

export const sqsRegion = 'us-east-1';
export const queueName = 'user-logins';
export const deadLetterQueueName = 'user-logins-dead';

const accountId = '000000000000';
const arn = (name: string) => `arn:aws:sqs:${sqsRegion}:${accountId}:${name}`;

/** Ten receives, so that an outage of some minutes buries nothing. */
const queues: SqsServerOptions['queues'] = [
  { name: deadLetterQueueName, attributes: { MessageRetentionPeriod: '1209600' } },
  {
    name: queueName,
    attributes: {
      VisibilityTimeout: '30',
      MessageRetentionPeriod: '1209600',
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: arn(deadLetterQueueName),
        maxReceiveCount: 10,
      }),
    },
  },
];

export interface SqsOptions {
  readonly paths: StackPaths;
  readonly port: number;
  /** Whether messages outlive the process. */
  readonly durable: boolean;
}

/** SQS by fauxqs, in a process of its own, with the queue of user logins and its dead-letter queue. */
export function sqsServer(options: SqsOptions): Server {
  const { paths, port } = options;
  const serve: SqsServerOptions = {
    port,
    region: sqsRegion,
    queues,
    ...(options.durable ? { dataDirectory: paths.sqs } : {}),
  };
  const module = new URL('sqs-server.ts', import.meta.url).href;
  const program = `import { serveSqs } from ${JSON.stringify(module)}; await serveSqs(${JSON.stringify(serve)});`;
  return {
    name: 'sqs',
    port,
    logFile: join(paths.logs, 'sqs.log'),
    prepare: async () => ({
      command: nodeProgram,
      args: ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program],
      cwd: paths.root,
    }),
    ready: () => hasQueue(port),
  };
}

export function sqsEndpoint(port: number): string {
  return `http://${loopback}:${port}`;
}

/** The address alone decides nothing: fauxqs and the SDK find a queue by the last part of its URL. */
export function queueUrl(port: number, name: string): string {
  return `${sqsEndpoint(port)}/${accountId}/${name}`;
}

/** fauxqs makes its queues after it has begun to listen. */
async function hasQueue(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`${sqsEndpoint(port)}/_fauxqs/queues/${queueName}`, {
      signal: AbortSignal.timeout(5_000),
    });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
