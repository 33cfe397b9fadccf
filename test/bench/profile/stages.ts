import type { Stage } from './cpu-profile.ts';

/** First match counts: what is special stands before what is general. */
const common: readonly Stage[] = [
  { name: 'collecting garbage', functionName: '(garbage collector)' },
  { name: 'system calls and native code', functionName: '(program)' },
];

/** From SQS's bytes to Kafka's. */
export const connectorStages: readonly Stage[] = [
  { name: 'requests to SQS signed', files: /shared\/aws\/signature/ },
  { name: 'SQS answers read, requests written (JSON)', files: /shared\/(?:aws|sqs)\// },
  { name: 'HTTP', files: /node_modules\/undici|node:_http|node:internal\/deps\/undici/ },
  { name: 'bodies sealed in transit', files: /shared\/crypto\// },
  {
    name: 'record batches encoded',
    files: /shared\/kafka\/(?:encode-records|crc32c|kafkajs-protocol|record-block)/,
  },
  { name: 'batches gathered by partition', files: /shared\/kafka\/(?:publisher|lane|partitioner)/ },
  { name: 'Kafka requests and answers', files: /node_modules\/kafkajs|shared\/kafka\// },
  { name: 'messages held, deleted, counted', files: /services\/connector\/|shared\/telemetry\// },
  ...common,
];

/** From Kafka's bytes to what Postgres is sent. */
export const writerStages: readonly Stage[] = [
  {
    name: 'record batches decoded',
    files: /shared\/kafka\/(?:decode-records|kafkajs-protocol|record-block)/,
  },
  { name: 'transit seal opened', files: /shared\/crypto\/transit/ },
  {
    name: 'body parsed and validated',
    files: /shared\/streams\/(?:parse-body|user-logins|app-version|ip-address)/,
  },
  { name: 'tokens', files: /shared\/crypto\/token/ },
  // What both use, sodium-heap and the like, is its caller's.
  { name: 'fields sealed', files: /shared\/crypto\/(?:field|nonce-pool|uuid)/ },
  { name: 'binary arrays', files: /db\/(binary-array|array-memory)/ },
  { name: 'batches, columns, ledger', files: /db\/rows\// },
  { name: 'statement and protocol of Postgres', files: /node_modules\/(?:pg|drizzle)|\/db\// },
  { name: 'Kafka requests and answers', files: /node_modules\/kafkajs|shared\/kafka\// },
  { name: 'batches, columns, ledger', files: /services\/writer\/|shared\/streams\/|shared\/telemetry\// },
  ...common,
];
