import { printable, printableJson } from '../../shared/printable.ts';
import type { RecoveredEvent } from './open-row.ts';
import type { RangeReport } from './recover-range.ts';

/** One event, a line a field. */
export function eventText(event: RecoveredEvent, head: string): string {
  const lines: Record<string, unknown> = {
    event: event.eventId,
    day: event.day,
    'sent at': event.sentAt,
    ...event.clear,
    ...Object.fromEntries(Object.keys(event.personal).map((field) => [field, personal(event, field)])),
    ...Object.fromEntries(Object.entries(event.tokens).map(([field, token]) => [`${field} token`, token])),
    'access log': `entry ${event.accessId}, head ${head}`,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name.padEnd(18)}${shown(value)}\n`)
    .join('');
}

/** Events of a page, a line each: time, event, the first clear column (the user), personal fields. */
export function eventLines(events: readonly RecoveredEvent[]): string {
  return events
    .map((event) => {
      const [who] = Object.values(event.clear);
      const fields = Object.keys(event.personal).map((field) => personal(event, field));
      const cells = [event.sentAt, event.eventId, shown(who).padEnd(20), ...fields.map((f) => f.padEnd(15))];
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** The same as JSON, a line each. */
export function eventJson(events: readonly RecoveredEvent[]): string {
  return events.map((event) => `${printableJson(event)}\n`).join('');
}

/** The last line of what `--json` and a file give: without it the rest is not whole. */
export function reportJson(report: RangeReport): string {
  return `${printableJson({ report: { ...report, head: headText(report.head) } })}\n`;
}

/** What was done and what was not, for a person. */
export function reportText(report: RangeReport): string {
  const { events, erased, damaged, damagedCells, skipped, limited, head } = report;
  const lines = [
    `${events} ${events === 1 ? 'event' : 'events'} recovered for ${printable(report.subject)}`,
    ...(erased > 0 ? [`${erased} of them had been erased, wholly or in part`] : []),
    ...(damaged > 0
      ? [`${damaged} cells do not open in their place: moved or altered`, ...cells(damagedCells)]
      : []),
    ...(damaged > damagedCells.length ? ['  …'] : []),
    ...skipped.map(({ message, code }) => `not opened: ${message} [${code}]`),
    ...(limited ? ['ended at --limit: there may be more'] : []),
    `access log: head ${headText(head)}`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** Whether everything that was asked for has been delivered. */
export function isWhole({ damaged, skipped }: RangeReport): boolean {
  return damaged === 0 && skipped.length === 0;
}

/** `12:<hash in hex>`, as `sluice audit verify --head` takes it. */
export function headText({ id, hash }: RangeReport['head']): string {
  return `${id}:${hash}`;
}

function cells(damaged: RangeReport['damagedCells']): string[] {
  return damaged.map(({ eventId, day, column }) => `  ${day}  ${eventId}  ${column}`);
}

function personal(event: RecoveredEvent, field: string): string {
  if (event.erased?.includes(field) === true) return '(erased)';
  const value = event.personal[field];
  return value === null || value === undefined ? '(does not open)' : printable(value);
}

function shown(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? printable(String(value)) : '–';
}
