import { fstatSync } from 'node:fs';
import { openDatabase } from '../../db/client.ts';
import { PipelineError } from '../../shared/errors.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createLogger } from '../../shared/log.ts';
import { writeText } from '../../shared/output.ts';
import { printable, printableJson } from '../../shared/printable.ts';
import { openDayPrivateKeys, openTransitKeys } from '../../shared/vault/open-vault.ts';
import { lookConfig, openConfig } from './config.ts';
import { describe, describeLine, type Described } from './describe.ts';
import { look, type Found } from './look.ts';
import { openBodies, type OpenedBody } from './open-bodies.ts';

export interface PeekOptions {
  readonly partition?: number;
  readonly fromOffset?: string;
  readonly from?: string;
  readonly limit: number;
  readonly bodies?: boolean;
  readonly reason?: string;
  readonly ticket?: string;
  readonly json?: boolean;
}

/** A body may have a mebibyte, and all that are shown are in memory. */
const maxBodies = 100;

/** `sluice peek raw|dead`: records of a topic. Exit code 1 when a body was asked for and does not open. @throws PipelineError */
export async function peek(which: 'raw' | 'dead', options: PeekOptions): Promise<number> {
  const where = {
    partition: options.partition,
    fromOffset: options.fromOffset === undefined ? undefined : offset(options.fromOffset),
    fromMs: options.from === undefined ? undefined : time(options.from),
    limit: options.limit,
  };
  if (where.fromOffset !== undefined && where.fromMs !== undefined) {
    throw new PipelineError('USAGE', 'give --from-offset or --from, not both');
  }
  const purpose = purposeOf(options);
  const config = lookConfig(process.env);
  const topic = which === 'raw' ? config.RAW_TOPIC : config.DEAD_LETTER_TOPIC;
  const log = createLogger({ service: 'peek', level: config.LOG_LEVEL });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-peek', log });
  if (purpose === undefined) {
    const records = await look(client, topic, where, describe);
    await writeText(process.stdout, shown(records, undefined, options.json === true));
    return 0;
  }
  if (where.limit > maxBodies)
    throw new PipelineError('USAGE', `--bodies shows at most ${maxBodies}: see --limit`);
  // Copies: a record is a part of the answer that it came in.
  const whole = (found: Found) => {
    const { offset, key, value, timestampMs, headers } = found.record;
    return {
      ...found,
      record: { offset, key: Buffer.from(key), value: Buffer.from(value), timestampMs, headers },
    };
  };
  return await withBodies(() => look(client, topic, where, whole), purpose, options.json === true);
}

async function withBodies(
  read: () => Promise<Found[]>,
  purpose: { reason: string; ticket: string },
  json: boolean,
): Promise<number> {
  if (fstatSync(1).isFile()) {
    throw new PipelineError('USAGE', 'no file holds plain text: show bodies on a terminal or in a pipe');
  }
  const config = openConfig(process.env);
  if (config.RECOVERY_REQUIRE_APPROVAL === 'on') {
    throw new PipelineError('APPROVAL_MISSING', 'bodies are not shown under RECOVERY_REQUIRE_APPROVAL=on');
  }
  // Nobody asks for a day's key here: whoever does not hold the recovery key of this vault gets no further.
  await openDayPrivateKeys(config, config.VAULT_RECOVERY_KEY_FILE);
  const keys = await openTransitKeys(config);
  const records = await read();
  await using database = openDatabase(config.RECOVERY_DATABASE_URL, {
    applicationName: 'sluice-peek',
    max: 1,
    statementTimeoutMs: 30_000,
  });
  const { bodies, head } = await openBodies(database, keys, records, purpose);
  await writeText(process.stdout, shown(records.map(describe), bodies, json));
  if (head !== undefined) await writeText(process.stderr, `access log: head ${head.id}:${head.hash}\n`);
  return bodies.some((one) => 'closed' in one) ? 1 : 0;
}

function shown(
  records: readonly Described[],
  bodies: readonly OpenedBody[] | undefined,
  json: boolean,
): string {
  if (records.length === 0 && !json) return 'no records\n';
  return records
    .map((described, i) => {
      const body = bodies?.[i];
      if (json) return `${printableJson({ ...described, ...(body === undefined ? {} : bodyJson(body)) })}\n`;
      return `${describeLine(described)}\n${body === undefined ? '' : `           ${bodyText(body)}\n`}`;
    })
    .join('');
}

function bodyText(opened: OpenedBody): string {
  return 'closed' in opened ? `(${opened.closed})` : printable(opened.body.toString('utf8'));
}

/** As text when it is text, else in base64: every byte as it came. */
function bodyJson(opened: OpenedBody): Record<string, string> {
  if ('closed' in opened) return { closed: opened.closed };
  const text = opened.body.toString('utf8');
  return Buffer.from(text, 'utf8').equals(opened.body)
    ? { bodyText: text }
    : { bodyBase64: opened.body.toString('base64') };
}

/** Undefined unless bodies are asked for. @throws PipelineError USAGE without a reason or a ticket */
function purposeOf(options: PeekOptions): { reason: string; ticket: string } | undefined {
  const { bodies, reason = '', ticket = '' } = options;
  if (bodies !== true) {
    if (reason !== '' || ticket !== '')
      throw new PipelineError('USAGE', '--reason and --ticket go with --bodies');
    return undefined;
  }
  for (const [name, text] of [
    ['--reason', reason],
    ['--ticket', ticket],
  ] as const) {
    if (text.trim() === '' || text.length > 1_000 || text.includes('\u0000')) {
      throw new PipelineError('USAGE', `${name} is missing, longer than 1,000 characters, or holds NUL`);
    }
  }
  return { reason, ticket };
}

function offset(text: string): bigint {
  if (!/^\d{1,18}$/.test(text))
    throw new PipelineError('USAGE', '--from-offset takes an offset, such as 1024');
  return BigInt(text);
}

function time(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new PipelineError('USAGE', '--from takes 2026-11-24 or 2026-11-24T08:00:00Z');
  }
  return ms;
}
