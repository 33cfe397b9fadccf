import { printable } from '../../shared/printable.ts';
import { tableLines } from '../../shared/text-table.ts';
import type { DayKeys, EpochKeys, Keys } from './inventory.ts';

const columns = [
  'day',
  'rows',
  'published',
  'private key',
  'transit key',
  'data keys',
  'first',
  'last',
] as const;

/** A line a day, a line an epoch, then what is wrong, which nobody should have to look for. */
export function describeKeys(keys: Keys): string[] {
  return [
    ...tableLines([[...columns], ...keys.days.map(dayCells)]),
    '',
    ...tableLines([['epoch', 'state', 'pepper'], ...keys.epochs.map(epochCells)]),
    ...(keys.strays.length === 0 ? [] : ['']),
    ...keys.strays.map(
      ({ day, privateKeys, transitKey }) =>
        `${day}: in the vault and not in the database: ${privateKeys} private keys${transitKey ? ', a transit key' : ''}`,
    ),
    '',
    ...keys.days.flatMap(({ day, problems }) => problems.map((problem) => `PROBLEM ${day}: ${problem}`)),
    ...keys.epochs.flatMap(({ epoch, problems }) =>
      problems.map((problem) => `PROBLEM token epoch ${epoch}: ${problem}`),
    ),
    keys.problems === 0
      ? 'vault and database agree'
      : `vault and database do NOT agree: ${keys.problems} problem(s)`,
  ];
}

function dayCells(keys: DayKeys): string[] {
  return [
    keys.day,
    keys.rows,
    keys.publishedAt.slice(0, 10),
    privateKeyCell(keys),
    keys.transitKey ? `until ${keys.transitKeyUntil}` : 'none',
    String(keys.dataKeys.count),
    minute(keys.dataKeys.firstAt),
    minute(keys.dataKeys.lastAt),
  ];
}

function privateKeyCell(keys: DayKeys): string {
  const extra = keys.unpublished === 0 ? '' : ` +${keys.unpublished} unpublished`;
  if (keys.destroyedAt !== null && keys.privateKey === 'none') {
    const ticket = keys.ticket === null ? '' : ` (${printable(keys.ticket)})`;
    return `destroyed ${keys.destroyedAt.slice(0, 10)}${ticket}${extra}`;
  }
  if (keys.privateKey === 'both') return `in both places${extra}`;
  return keys.privateKey === 'none' ? `MISSING${extra}` : `${keys.privateKey}${extra}`;
}

function epochCells(keys: EpochKeys): string[] {
  const gone =
    keys.destroyedAt === null
      ? 'none'
      : `destroyed ${keys.destroyedAt.slice(0, 10)}${keys.ticket === null ? '' : ` (${printable(keys.ticket)})`}`;
  return [String(keys.epoch), keys.state, keys.pepper ? 'in the vault' : gone];
}

/** `2026-11-24T10:00:00Z` → `2026-11-24 10:00`. */
function minute(time: string | null): string {
  return time === null ? '–' : time.slice(0, 16).replace('T', ' ');
}
