import {
  bigint,
  customType,
  date,
  integer,
  pgTable,
  primaryKey,
  timestamp,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';
import { z } from 'zod';
import type { DeadLetterCode } from '../errors.ts';
import { appVersionNumber } from './app-version.ts';
import { FlatReader } from './flat-reader.ts';
import { canonicalIp } from './ip-address.ts';
import { parseBody, type JsonObject } from './parse-body.ts';
import type { Parsed, Refusal, Stream } from './stream.ts';

/** Issues carry a code of the catalogue as their message, so that zod stays the one contract. */
function code(value: DeadLetterCode): DeadLetterCode {
  return value;
}

/** Text that Postgres stores unchanged: no NUL, no half of a surrogate pair; `min` to `max` characters (code points). */
function text(max: number, min = 1) {
  return z
    .string({ error: (issue) => code(issue.input === undefined ? 'MESSAGE_SHAPE' : 'FIELD_TYPE') })
    .min(min, code('FIELD_EMPTY'))
    .refine((value) => value.length <= max || codePoints(value) <= max, code('FIELD_TOO_LONG'))
    .refine((value) => value.isWellFormed() && !value.includes('\u0000'), code('FIELD_TEXT'));
}

function codePoints(value: string): number {
  let count = 0;
  for (let i = 0; i < value.length; i++) {
    count += 1;
    const unit = value.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) i += 1;
  }
  return count;
}

/** The message of a login: flat, all strings; `locale` may be null or absent. Unknown fields are left out and counted. */
export const userLoginMessage = z.object({
  user_id: text(128),
  app_version: text(32).refine((value) => appVersionNumber(value) !== undefined, code('APP_VERSION')),
  device_type: text(32),
  ip: text(64).transform((value, context) => {
    const canonical = canonicalIp(value);
    if (canonical !== undefined) return canonical;
    context.addIssue({ code: 'custom', message: code('IP_ADDRESS') });
    return z.NEVER;
  }),
  locale: text(32, 0).nullish(),
  device_id: text(256),
});

export type UserLogin = z.output<typeof userLoginMessage>;

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' });

/** Partitioned by `create_date`, one partition a UTC day: see db/migrations for what Drizzle cannot say. */
export const userLoginsTable = pgTable(
  'user_logins',
  {
    createDate: date('create_date').notNull(),
    eventId: uuid('event_id').notNull(),
    sentAt: timestamp('sent_at', { withTimezone: true, precision: 3 }).notNull(),
    userId: varchar('user_id', { length: 128 }).notNull(),
    deviceType: varchar('device_type', { length: 32 }).notNull(),
    maskedIp: varchar('masked_ip', { length: 256 }),
    maskedDeviceId: varchar('masked_device_id', { length: 256 }),
    locale: varchar('locale', { length: 32 }),
    appVersion: integer('app_version').notNull(),
    appVersionText: varchar('app_version_text', { length: 32 }).notNull(),
    ipSealed: bytea('ip_sealed'),
    deviceIdSealed: bytea('device_id_sealed'),
    dekId: bigint('dek_id', { mode: 'bigint' }).notNull(),
    ingestedAt: timestamp('ingested_at', { withTimezone: true }).notNull().defaultNow(),
    maskedIpPrior: varchar('masked_ip_prior', { length: 256 }),
    maskedDeviceIdPrior: varchar('masked_device_id_prior', { length: 256 }),
  },
  (table) => [primaryKey({ columns: [table.createDate, table.eventId] })],
);

const knownFields = new Set(Object.keys(userLoginMessage.shape));

/** Logins: who signed in, from where, with which device. `ip` and `device_id` are personal. */
export const userLogins: Stream<UserLogin> = {
  name: 'user_logins',
  table: userLoginsTable,
  transform: 1,
  clearColumns: [
    { column: 'user_id', arrayType: 'text[]', value: (message) => message.user_id },
    { column: 'device_type', arrayType: 'text[]', value: (message) => message.device_type },
    { column: 'locale', arrayType: 'text[]', value: (message) => message.locale ?? null },
    {
      column: 'app_version',
      arrayType: 'integer[]',
      value: (message) => appVersionNumber(message.app_version) ?? null,
    },
    { column: 'app_version_text', arrayType: 'text[]', value: (message) => message.app_version },
  ],
  personalFields: [
    {
      field: 'ip',
      sealedColumn: 'ip_sealed',
      maskedColumn: 'masked_ip',
      priorColumn: 'masked_ip_prior',
      value: (message) => message.ip,
    },
    {
      field: 'device_id',
      sealedColumn: 'device_id_sealed',
      maskedColumn: 'masked_device_id',
      priorColumn: 'masked_device_id_prior',
      value: (message) => message.device_id,
    },
  ],

  parse(body: Buffer): Parsed<UserLogin> {
    const flat = acceptFlat(body);
    if (flat !== undefined) return flat;
    const parsed = parseBody(body);
    if ('refusal' in parsed) return parsed;
    const { object, keys, plain } = parsed;
    const unknownFields = keys - ('locale' in object ? 6 : 5);
    const message = acceptAtOnce(object, plain);
    if (message !== undefined) return { message, unknownFields };
    const result = userLoginMessage.safeParse(object);
    return result.success ? { message: result.data, unknownFields } : { refusal: refusalOf(result.error) };
  },
};

const flatReader = new FlatReader(['user_id', 'app_version', 'device_type', 'ip', 'locale', 'device_id']);

/** The message of a body that is as simple as most are; undefined when {@link parseBody} has to look. */
function acceptFlat(body: Buffer): Parsed<UserLogin> | undefined {
  const flat = flatReader.read(body);
  if (flat === undefined) return undefined;
  const { values, unknownFields } = flat;
  const message = acceptAtOnce(
    {
      user_id: values[0],
      app_version: values[1],
      device_type: values[2],
      ip: values[3],
      locale: values[4],
      device_id: values[5],
    },
    true,
  );
  return message === undefined ? undefined : { message, unknownFields };
}

/**
 * What {@link userLoginMessage} makes of a message, for a quarter of the time; undefined when that has to look. **It accepts nothing else, and makes
 * the same of it**: test/shared/streams/user-logins.property.test.ts. `plain`: as {@link parseBody} says. JSON has no undefined: such a field is not there.
 */
export function acceptAtOnce(object: JsonObject, plain = false): UserLogin | undefined {
  const { user_id, app_version, device_type, ip, locale, device_id } = object;
  if (!isText(user_id, 128, plain) || !isText(app_version, 32, plain)) return undefined;
  if (!isText(device_type, 32, plain) || !isText(ip, 64, plain)) return undefined;
  if (!isText(device_id, 256, plain)) return undefined;
  if (appVersionNumber(app_version) === undefined) return undefined;
  const canonical = canonicalIp(ip);
  if (canonical === undefined) return undefined;
  if (locale === undefined) return { user_id, app_version, device_type, ip: canonical, device_id };
  if (locale !== null && locale !== '' && !isText(locale, 32, plain)) return undefined;
  return { user_id, app_version, device_type, ip: canonical, locale, device_id };
}

/** No more UTF-16 units than characters are allowed: whoever has more may still have few enough characters. */
function isText(value: unknown, max: number, plain: boolean): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > max) return false;
  return plain || (value.isWellFormed() && !value.includes('\u0000'));
}

/** The first issue decides; a missing field outweighs any other, for then it is a message of another kind. */
function refusalOf(error: z.ZodError): Refusal {
  const issue = error.issues.find((one) => one.message === code('MESSAGE_SHAPE')) ?? error.issues[0];
  const field = issue?.path[0];
  const refusal = deadLetterCodes.get(issue?.message ?? '') ?? code('MESSAGE_SHAPE');
  return typeof field === 'string' && knownFields.has(field) ? { code: refusal, field } : { code: refusal };
}

const deadLetterCodes = new Map<string, DeadLetterCode>(
  (
    [
      'MESSAGE_SHAPE',
      'FIELD_TYPE',
      'FIELD_EMPTY',
      'FIELD_TOO_LONG',
      'FIELD_TEXT',
      'APP_VERSION',
      'IP_ADDRESS',
    ] as const
  ).map((value) => [value, value]),
);
