import { printable } from '../../shared/printable.ts';
import type { Preview } from './dry-run.ts';
import type { ShreddedDay } from './shred-day.ts';
import type { ShreddedEpoch } from './shred-epoch.ts';
import type { ErasedUser } from './shred-user.ts';

export type Shredded = ShreddedDay | ErasedUser | ShreddedEpoch;

/** For people: what was destroyed, what proves it, and what can still be read and until when. No user's id. */
export function describeShredded(done: Shredded): string[] {
  if (done.scope === 'day') return describeDay(done);
  if (done.scope === 'user') return describeUser(done);
  return [
    done.already
      ? `token epoch ${done.epoch} was shredded before`
      : `token epoch ${done.epoch} is shredded: its pepper is destroyed, its tokens are tied to no value any more`,
    ...describeOrder(done),
    row('proof', JSON.stringify(done.proof)),
  ];
}

function describeDay(done: ShreddedDay): string[] {
  return [
    done.already
      ? `${done.day} was shredded before, and nothing of it has come back`
      : `${done.day} is shredded: nothing opens its fields any more`,
    ...describeOrder(done),
    ...(done.already
      ? []
      : [
          row('destroyed', `${done.privateKeysDestroyed} private keys`),
          row('cleared', `tokens of ${done.rowsCleared} rows, ${done.archivedTokensCleared} in the archive`),
        ]),
    row('proof', JSON.stringify(done.proof)),
    row(
      'topics',
      done.bodiesReadableUntil === null
        ? 'the transit key is destroyed: bodies of that day in the topics open no more'
        : `bodies of that day open with the transit key until ${done.bodiesReadableUntil}, for connectors need it; then "sluice maintain" destroys it`,
    ),
  ];
}

function describeUser(done: ErasedUser): string[] {
  const { proof } = done;
  const days = Object.entries(proof.days);
  return [
    `erased: ${proof.rowsErased} rows of ${days.length} days, ${proof.rowsLeft} left`,
    ...describeOrder(done),
    ...days.map(([day, rows]) => row(day, `${rows} rows`)),
    row(
      'archive',
      proof.archivedDays.length === 0
        ? 'no day lies there'
        : `${proof.archivedDays.length} days lie there (${proof.archivedDays[0]} to ${proof.archivedDays.at(-1)}): erased in them when they are restored, readable there to the recoverer until then`,
    ),
    row(
      'raw topic',
      `what was sent before the order lies there until ${done.rawTopicUntil} at the latest, sealed in transit`,
    ),
    row('dead letters', `until ${done.deadLetterTopicUntil} at the latest, likewise`),
    row('unread', 'what is written from the topics until then is erased by "sluice maintain"'),
  ];
}

function describeOrder(done: Shredded): string[] {
  return [
    row('order', `${done.order}, ${done.orderedAt}, ticket ${printable(done.ticket)}`),
    row('finished', done.finishedAt),
    ...(done.accessId === undefined ? [] : [row('access log', `entry ${done.accessId}`)]),
  ];
}

/** What an order would find. */
export function describePreview(found: Preview): string[] {
  const known =
    found.orderedAt === null
      ? []
      : [
          row(
            'ordered',
            `${found.orderedAt}, ${found.finishedAt === null ? 'not finished' : `finished ${found.finishedAt}`}`,
          ),
        ];
  if (found.scope === 'token_epoch') {
    return [
      `token epoch ${found.epoch}, nothing was changed`,
      row('state', found.state ?? 'there is no such epoch'),
      row('pepper', found.pepper ? 'in the vault' : 'not in the vault'),
      ...known,
    ];
  }
  if (found.scope === 'user') {
    return [
      `the user, nothing was changed`,
      row('rows', `${found.rows} of ${Object.keys(found.days).length} days`),
      ...Object.entries(found.asides).map(([table, rows]) => row('backfill', `${rows} of ${table}`)),
      row('archive', `${found.archivedDays.length} days lie there`),
      ...known,
    ];
  }
  return [
    `${found.day}, nothing was changed`,
    row('public key', found.publicKey ? 'published' : 'none'),
    row('private keys', String(found.privateKeys)),
    row(
      'table',
      found.table === null
        ? 'no partition'
        : `${found.table.rows} rows, ${found.table.withTokens} with tokens`,
    ),
    ...Object.entries(found.asides).map(([table, { rows, withTokens }]) =>
      row('backfill', `${table}: ${rows} rows, ${withTokens} with tokens`),
    ),
    row(
      'archive',
      found.archive === null ? 'not there' : `${found.archive.state}, ${found.archive.location}`,
    ),
    row('transit key', describeTransit(found)),
    ...known,
  ];
}

function describeTransit(found: Extract<Preview, { scope: 'day' }>): string {
  if (!found.transitKey) return 'not in the vault';
  return found.transitKeyUntil === null
    ? 'to be destroyed at once'
    : `has to stay until ${found.transitKeyUntil}`;
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(14)}${value}`;
}
