import { h } from './dom.js';
import { speed } from './scale.js';
import { duration, number, rate, size } from './words.js';

/** @typedef {import('../look/snapshot.ts').Snapshot} Snapshot */
/** @typedef {import('../look/snapshot.ts').ServiceLook} ServiceLook */

/**
 * The pipeline as a picture, and as a list: stages with arrows between them that move as fast as records do.
 * @param {Snapshot} snapshot
 */
export function flow(snapshot) {
  const { queue, topic, rows, days, sentPerSecond } = snapshot;
  const published = topic.ok ? topic.value.publishedPerSecond : null;
  const read = topic.ok ? topic.value.readPerSecond : null;
  const written = rows.ok ? rows.value.rowsPerSecond : null;
  return [
    stage(
      'Queue',
      'SQS',
      worst(snapshot, 'queue', !queue.ok),
      queue.ok ? number(queue.value.visible) : '?',
      'waiting',
      [
        queue.ok && `${number(queue.value.inFlight)} in flight`,
        queue.ok && queue.value.delayed > 0 && `${number(queue.value.delayed)} delayed`,
        oldest(snapshot.services),
        sentPerSecond !== null && `${rate(sentPerSecond)} sent to it`,
      ],
    ),
    arrow(published, 'from the queue to the connector'),
    stage(
      'Connector',
      'seals bodies',
      serviceState(snapshot, 'connector'),
      ...counted(snapshot.services, 'connector'),
    ),
    arrow(published, 'from the connector to the partitions'),
    stage(
      'Partitions',
      'Kafka',
      worst(snapshot, 'topic', !topic.ok),
      topic.ok ? number(topic.value.lag) : '?',
      'not read yet',
      [topic.ok && `${topic.value.partitions.length} partitions`, topic.ok && bars(topic.value.partitions)],
    ),
    arrow(read, 'from the partitions to the writers'),
    stage(
      'Writers',
      'seal fields',
      serviceState(snapshot, 'writer'),
      topic.ok ? number(topic.value.members) : '?',
      topic.ok && topic.value.members === 1 ? 'at work' : 'at work',
      [
        topic.ok && `group ${topic.value.groupState.toLowerCase()}`,
        ...(counted(snapshot.services, 'writer')[2] ?? []),
        snapshot.deadLetters.ok && `${number(snapshot.deadLetters.value.open)} dead letters open`,
      ],
    ),
    arrow(written, 'from the writers to the day partitions'),
    stage(
      'Days',
      'Postgres',
      worst(snapshot, 'days', !rows.ok || !days.ok),
      written === null ? '?' : number(written),
      'rows a second',
      [
        rows.ok && rows.value.recent !== null && `half within ${duration(rows.value.recent.p50)}`,
        days.ok && `today ${size(days.value.days.find(({ day }) => day === days.value.today)?.bytes ?? 0)}`,
      ],
    ),
  ];
}

/**
 * @param {string} name
 * @param {string} kind
 * @param {string} state
 * @param {string} figure
 * @param {string} unit
 * @param {readonly import('./dom.js').Child[]} notes
 */
function stage(name, kind, state, figure, unit, notes) {
  return h(
    'li',
    { class: `stage ${state}` },
    h('h3', {}, name, ' ', h('small', {}, kind)),
    h('p', { class: 'figure' }, h('b', {}, figure), ' ', h('span', {}, unit)),
    h(
      'ul',
      { class: 'notes' },
      notes.filter(Boolean).map((note) => h('li', {}, note)),
    ),
    state === 'quiet' ? null : h('p', { class: 'mark' }, state),
  );
}

/**
 * @param {number | null} perSecond
 * @param {string} where
 */
function arrow(perSecond, where) {
  return h(
    'li',
    { class: 'arrow' },
    h('span', { class: 'rate' }, h('b', {}, rate(perSecond)), h('span', { class: 'hidden' }, ` ${where}`)),
    h(
      'svg',
      {
        viewBox: '0 0 64 16',
        'aria-hidden': 'true',
        class: `speed-${speed(perSecond)}`,
        preserveAspectRatio: 'none',
      },
      h('line', { x1: 0, y1: 8, x2: 56, y2: 8 }),
      h('path', { d: 'M54 3l8 5-8 5z' }),
    ),
  );
}

/**
 * The worst problem of an area, as a word.
 * @param {Snapshot} snapshot
 * @param {string} area
 * @param {boolean} unseen
 */
function worst({ verdict }, area, unseen) {
  if (unseen) return 'broken';
  return verdict.problems.find((problem) => problem.area === area)?.state ?? 'quiet';
}

/**
 * @param {Snapshot} snapshot
 * @param {string} kind
 */
function serviceState({ services }, kind) {
  const of = services.filter(({ service }) => service === kind);
  return of.some(({ state }) => state === 'stuck' || state === 'waiting') ? 'broken' : 'quiet';
}

/**
 * @param {readonly ServiceLook[]} services
 * @param {string} kind
 * @returns {[string, string, string[]]}
 */
function counted(services, kind) {
  const of = services.filter(({ service }) => service === kind);
  if (of.length === 0) return ['–', 'not told', services.length === 0 ? ['SERVICE_URLS is not set'] : []];
  const waits = of.flatMap(({ dependencies }) =>
    dependencies.filter(({ up }) => !up).map(({ name }) => `waits for ${name}`),
  );
  const ready = of.filter(({ state }) => state === 'ready').length;
  return [number(ready), ready === of.length ? 'ready' : `of ${of.length} ready`, [...new Set(waits)]];
}

/** @param {readonly ServiceLook[]} services */
function oldest(services) {
  const ages = services.flatMap(({ queueOldestSeconds }) =>
    queueOldestSeconds === null ? [] : [queueOldestSeconds],
  );
  const age = Math.max(0, ...ages);
  return age > 0 && `oldest ${duration(age)}`;
}

/**
 * A bar a partition; the table below has the figures.
 * @param {readonly import('../look/snapshot.ts').PartitionLook[]} partitions
 */
function bars(partitions) {
  const shown = partitions.slice(0, 32);
  const most = Math.max(1, ...shown.map(({ lag }) => lag));
  const width = 100 / shown.length;
  return h(
    'svg',
    { class: 'bars', viewBox: '0 0 100 24', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    shown.map(({ lag }, i) => {
      const height = lag === 0 ? 1.5 : 3 + (lag / most) * 21;
      return h('rect', { x: (i + 0.15) * width, y: 24 - height, width: width * 0.7, height });
    }),
  );
}
