import { h } from './dom.js';
import { clock } from './plot.js';
import { duration, number, rate } from './words.js';

/**
 * @param {import('../look/snapshot.ts').Verdict} verdict
 */
export function problems({ problems: found }) {
  // The first one is the verdict itself.
  return found
    .slice(1)
    .map(({ state, what, todo }) =>
      h(
        'li',
        { class: state },
        h('p', {}, h('strong', { class: 'chip' }, state), ' ', what),
        h('p', { class: 'todo' }, todo),
      ),
    );
}

/**
 * Lag by partition, as a table whose bars are drawn behind the figures.
 * @param {import('../look/snapshot.ts').TopicLook} topic
 */
export function partitionTable({ partitions }) {
  const most = Math.max(1, ...partitions.map(({ lag }) => lag));
  const heads = ['Partition', 'Not read yet', 'Oldest', 'In', 'Out', 'Writer'];
  return [
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        heads.map((name) => h('th', { scope: 'col', class: /^(In|Out)$/.test(name) && 'spare' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      partitions.map((one) =>
        h(
          'tr',
          {},
          h(
            'th',
            { scope: 'row' },
            one.partition,
            one.leader ? null : h('strong', { class: 'chip broken' }, 'no leader'),
          ),
          h('td', { class: 'bar' }, bar(one.lag / most), h('span', {}, number(one.lag))),
          h('td', {}, one.oldestSeconds === null ? '–' : duration(one.oldestSeconds)),
          h('td', { class: 'spare' }, rate(one.publishedPerSecond)),
          h('td', { class: 'spare' }, rate(one.readPerSecond)),
          h('td', {}, one.member === null ? 'none' : `#${one.member}`),
        ),
      ),
    ),
  ];
}

/** @param {number} share */
function bar(share) {
  return h(
    'svg',
    { class: 'fill', 'aria-hidden': 'true', preserveAspectRatio: 'none', viewBox: '0 0 100 1' },
    h('rect', { width: share * 100, height: 1 }),
  );
}

/**
 * @param {import('../look/snapshot.ts').DeadLettersLook} look
 */
export function deadLetters({ codes, open, redriven, notRead }) {
  const most = Math.max(1, ...codes.map((code) => code.open));
  const rest =
    notRead > 0 ? ` ${number(notRead)} older records are not counted: “sluice dlq list” does.` : '';
  if (codes.length === 0) return [h('p', { class: 'calm' }, `None.${rest}`)];
  return [
    h('p', {}, h('b', {}, number(open)), ' open, ', number(redriven), ' put back.', rest),
    h(
      'table',
      {},
      h('caption', { class: 'hidden' }, 'Dead letters by reason'),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ['Reason', 'Open', 'Put back', 'Last'].map((name) => h('th', { scope: 'col' }, name)),
        ),
      ),
      h(
        'tbody',
        {},
        codes.map((code) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, h('code', {}, code.code)),
            h('td', { class: 'bar' }, bar(code.open / most), h('span', {}, number(code.open))),
            h('td', {}, number(code.redriven)),
            h('td', {}, code.lastFailedMs === null ? '–' : when(code.lastFailedMs)),
          ),
        ),
      ),
    ),
  ];
}

/**
 * `14:05` of today, `24 Nov` of other days.
 * @param {number} atMs
 */
function when(atMs) {
  const date = new Date(atMs);
  const today = new Date().toDateString() === date.toDateString();
  return today ? clock(atMs) : date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
}

/**
 * The breakers: what each service waits for.
 * @param {readonly import('../look/snapshot.ts').ServiceLook[]} services
 */
export function breakers(services) {
  if (services.length === 0) {
    return [
      h(
        'p',
        { class: 'calm' },
        'Not told: ',
        h('code', {}, 'SERVICE_URLS'),
        ' names where services answer probes (',
        h('code', {}, 'HEALTH_PORT'),
        ').',
      ),
    ];
  }
  return services.map(({ url, service, state, dependencies }) =>
    h(
      'div',
      { class: 'service' },
      h(
        'h3',
        {},
        service ?? 'silent',
        ' ',
        h('strong', { class: `chip ${tone(state)}` }, state),
        ' ',
        h('small', {}, url.replace(/^https?:\/\//, '')),
      ),
      h(
        'ul',
        { class: 'breakers' },
        dependencies.map(({ name, up, code, downMs, failures }) =>
          h(
            'li',
            { class: up ? 'up' : 'down' },
            h('b', {}, name),
            ' ',
            up ? 'up' : `down since ${duration((downMs ?? 0) / 1_000)}`,
            up ? null : h('code', {}, code ?? '?'),
            failures > 0 ? h('small', {}, `${number(failures)} failed attempts since its start`) : null,
          ),
        ),
      ),
    ),
  );
}

/** @param {string} state */
function tone(state) {
  const tones = /** @type {Record<string, string>} */ ({
    ready: 'well',
    starting: 'attention',
    silent: 'attention',
  });
  return tones[state] ?? 'broken';
}

/**
 * @param {import('../look/snapshot.ts').LedgerLook} look
 * @param {number} atMs
 */
export function ledger({ proven, problems: found, read, inserted, duplicate, dead }, atMs) {
  const term = (/** @type {number} */ value, /** @type {string} */ name) =>
    h('span', { class: 'term' }, h('b', {}, number(value)), h('small', {}, name));
  return [
    h(
      'p',
      { class: proven ? 'proof well' : 'proof broken' },
      proven ? 'Proven: no record was passed over.' : 'Not proven.',
      ' ',
      h('small', {}, `at ${clock(atMs)}`),
    ),
    h(
      'p',
      { class: 'equation' },
      term(read, 'read'),
      ' = ',
      term(inserted, 'inserted'),
      ' + ',
      term(duplicate, 'duplicate'),
      ' + ',
      term(dead, 'dead'),
    ),
    found.length === 0
      ? null
      : h(
          'ul',
          { class: 'found' },
          found.slice(0, 8).map((problem) => h('li', {}, problem)),
        ),
  ];
}

/**
 * @param {import('../look/snapshot.ts').DaysLook} look
 * @param {number} now
 */
export function custody({ partitionDays, keyDays, lastArchiveMs, lastWalMs, unfinishedShreds }, now) {
  const ago = (/** @type {number | null} */ atMs) =>
    atMs === null ? 'never' : `${duration((now - atMs) / 1_000)} ago`;
  const facts = /** @type {const} */ ([
    ['Partitions ahead', `${partitionDays} days`],
    ['Keys ahead', `${keyDays} days`],
    ['Last archived day', ago(lastArchiveMs)],
    ['Last archived log', ago(lastWalMs)],
    ['Unfinished shreds', number(unfinishedShreds)],
  ]);
  return facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]);
}
