import { h } from './dom.js';
import { bounds, logPlace, roundUp, ticks } from './scale.js';
import { duration, number } from './words.js';

/** @typedef {import('../look/snapshot.ts').MinuteLook} MinuteLook */

const left = 50;
const right = 40;
const top = 10;
/** Of the percentiles, and below them of the rows. */
const linesHeight = 170;
const gap = 18;
const rowsHeight = 56;
const bottom = 22;
const height = top + linesHeight + gap + rowsHeight + bottom;

const series = /** @type {const} */ (['p99', 'p95', 'p50']);
const names = { p50: '50 %', p95: '95 %', p99: '99 %' };

/**
 * The last hour: how long rows took, logarithmically, above how many were written.
 * @param {readonly MinuteLook[]} minutes
 * @param {number} width as it is drawn, so that letters keep their size
 * @param {number | null} chosen the minute that is pointed at
 */
export function plot(minutes, width, chosen) {
  const axis = bounds(minutes.flatMap(({ latency }) => (latency === null ? [] : [latency.p50, latency.p99])));
  const most = roundUp(Math.max(...minutes.map(({ inserted }) => inserted)));
  const slot = (width - left - right) / minutes.length;
  const x = (/** @type {number} */ i) => left + (i + 0.5) * slot;
  const y = (/** @type {number} */ value) => top + linesHeight * (1 - logPlace(value, axis));
  const base = top + linesHeight + gap + rowsHeight;
  const marked = chosen === null ? undefined : minutes[chosen];
  return [
    ...ticks(axis).map((tick) =>
      h(
        'g',
        { class: 'grid' },
        h('line', { x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
        h('text', { x: left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, duration(tick)),
      ),
    ),
    h(
      'g',
      { class: 'grid' },
      h('line', { x1: left, x2: width - right, y1: base, y2: base }),
      h('text', { x: left - 8, y: base - rowsHeight + 10, 'text-anchor': 'end' }, number(most)),
    ),
    ...minutes.map(({ inserted }, i) => {
      const tall = (inserted / most) * rowsHeight;
      return h('rect', {
        class: i === chosen ? 'rows chosen' : 'rows',
        x: x(i) - slot * 0.38,
        y: base - tall,
        width: slot * 0.76,
        height: tall,
      });
    }),
    ...minutes.flatMap(({ atMs }, i) =>
      i % 15 === 14 || i === 0
        ? [h('text', { class: 'when', x: x(i), y: height - 5, 'text-anchor': 'middle' }, clock(atMs))]
        : [],
    ),
    ...series.flatMap((name) => line(minutes, name, x, y)),
    ...labels(minutes, x, y),
    ...(marked === undefined || chosen === null
      ? []
      : [h('line', { class: 'cursor', x1: x(chosen), x2: x(chosen), y1: top, y2: base })]),
  ];
}

/** The picture's own measures, for whoever points at it. */
export const measures = { height, left, right };

/**
 * @param {readonly MinuteLook[]} minutes
 * @param {'p50' | 'p95' | 'p99'} name
 * @param {(i: number) => number} x
 * @param {(value: number) => number} y
 */
function line(minutes, name, x, y) {
  const runs = [];
  /** @type {string[]} */
  let run = [];
  for (const [i, { latency }] of minutes.entries()) {
    if (latency !== null) run.push(`${x(i).toFixed(1)},${y(latency[name]).toFixed(1)}`);
    if ((latency === null || i === minutes.length - 1) && run.length > 0) {
      runs.push(run);
      run = [];
    }
  }
  return runs.map((points) => {
    const [only = ''] = points;
    const [cx, cy] = only.split(',');
    if (points.length === 1) return h('circle', { class: name, cx, cy, r: 2.5 });
    return h('polyline', { class: name, points: points.join(' ') });
  });
}

/** Letters are this tall. */
const labelHeight = 13;

/**
 * The names of the lines at their ends, pushed apart where they would lie on each other.
 * @param {readonly MinuteLook[]} minutes
 * @param {(i: number) => number} x
 * @param {(value: number) => number} y
 */
function labels(minutes, x, y) {
  const last = minutes.findLastIndex(({ latency }) => latency !== null);
  const latency = minutes[last]?.latency ?? null;
  if (latency === null) return [];
  let above = -Infinity;
  return series.map((name) => {
    above = Math.max(y(latency[name]) + 4, above + labelHeight);
    return h('text', { class: name, x: x(last) + 7, y: above }, names[name]);
  });
}

/**
 * What a minute was like, in a sentence.
 * @param {MinuteLook} minute
 */
export function minuteText({ atMs, inserted, dead, latency }) {
  const times =
    latency === null
      ? 'no latency known'
      : `50 % within ${duration(latency.p50)}, 95 % ${duration(latency.p95)}, 99 % ${duration(latency.p99)}`;
  return `${clock(atMs)}: ${number(inserted)} rows${dead > 0 ? `, ${number(dead)} dead letters` : ''}; ${times}`;
}

/**
 * The same as a table, the newest minute first, without those in which nothing came.
 * @param {readonly MinuteLook[]} minutes
 */
export function plotTable(minutes) {
  const rows = minutes
    .filter(({ inserted, dead, latency }) => inserted > 0 || dead > 0 || latency !== null)
    .toReversed();
  const cell = (/** @type {number | undefined} */ seconds) =>
    h('td', {}, seconds === undefined ? '–' : duration(seconds));
  return [
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ['Minute', 'Rows', '50 %', '95 %', '99 %'].map((name) => h('th', { scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      rows.map(({ atMs, inserted, latency }) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, clock(atMs)),
          h('td', {}, number(inserted)),
          cell(latency?.p50),
          cell(latency?.p95),
          cell(latency?.p99),
        ),
      ),
    ),
  ];
}

/**
 * `14:05`, where the reader is.
 * @param {number} atMs
 */
export function clock(atMs) {
  return new Date(atMs).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
