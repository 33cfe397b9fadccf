import { GrowingArray } from '../../db/binary-array.ts';
import type { RowColumns } from '../../db/queries/insert-rows.ts';
import { dayNumber, type Day } from '../../shared/time.ts';

/** Columns without rows, and those given. */
export function rowColumns(given: Partial<RowColumns>): RowColumns {
  return {
    createDate: new GrowingArray('date', 0),
    eventId: new GrowingArray('uuid', 0),
    sentAt: new GrowingArray('timestamptz', 0),
    dekId: new GrowingArray('int8', 0),
    epochs: { current: 1, prior: undefined },
    clear: [],
    masked: [],
    prior: [],
    sealed: [],
    ...given,
  };
}

export function texts(...values: (string | null)[]): GrowingArray {
  return GrowingArray.of('text', values);
}

export function dates(...days: Day[]): GrowingArray {
  const array = new GrowingArray('date', 0);
  for (const day of days) array.pushDate(dayNumber(Date.parse(day)));
  return array;
}

export function uuids(...values: string[]): GrowingArray {
  const array = new GrowingArray('uuid', 0);
  for (const value of values) array.pushUuid(value);
  return array;
}

/** What {@link texts} was given. */
export function textsOf(array: GrowingArray | undefined): string[] {
  return [...(array ?? [])].map(String);
}

/** What {@link uuids} was given. */
export function uuidsOf(array: GrowingArray): string[] {
  return [...array].map((bytes) =>
    (bytes?.toString('hex') ?? '').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  );
}
