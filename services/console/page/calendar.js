import { h } from './dom.js';
import { size } from './words.js';

/** @typedef {import('../../../db/queries/list-calendar.ts').CalendarDay} CalendarDay */

/** As in shared/time.ts: partitions and keys are there from two weeks before today to a week after. */
const horizon = { daysBack: 14, daysAhead: 7 };

/**
 * A cell a day: its upper half is the partition, its lower half the key.
 * @param {import('../look/snapshot.ts').DaysLook} look
 */
export function calendar({ days, today }) {
  const now = days.findIndex(({ day }) => day === today);
  return days.map((day, i) => {
    const wanted = i >= now - horizon.daysBack && i <= now + horizon.daysAhead;
    const rows = rowsState(day, wanted);
    const key = keyState(day, wanted);
    const date = new Date(`${day.day}T00:00:00Z`);
    const text = date.toLocaleDateString('en-GB', {
      day: 'numeric',
      month: 'long',
      weekday: 'long',
      timeZone: 'UTC',
    });
    const said = `${text}${i === now ? ' (today)' : ''}: partition ${rows}${day.partition ? `, ${size(day.bytes)}` : ''}; key ${key}`;
    return h(
      'li',
      { class: i === now ? 'day today' : 'day', title: said },
      h('span', { class: `half ${rows}`, 'aria-hidden': 'true' }, sign(rows)),
      h('span', { class: `half ${key}`, 'aria-hidden': 'true' }, sign(key)),
      h('span', { class: 'date', 'aria-hidden': 'true' }, date.getUTCDate()),
      h('span', { class: 'hidden' }, said),
    );
  });
}

/**
 * @param {CalendarDay} day
 * @param {boolean} wanted
 */
function rowsState({ partition, archive }, wanted) {
  if (partition) return 'there';
  if (archive === 'archived') return 'archived';
  if (archive !== null && archive !== 'restored') return 'moving';
  return wanted ? 'missing' : 'none';
}

/**
 * @param {CalendarDay} day
 * @param {boolean} wanted
 */
function keyState({ key }, wanted) {
  return key === 'none' ? (wanted ? 'missing' : 'none') : key;
}

/** @param {string} state */
function sign(state) {
  const signs = /** @type {Record<string, string>} */ ({
    archived: 'A',
    moving: '…',
    missing: '!',
    shredded: '×',
  });
  return signs[state] ?? '';
}
