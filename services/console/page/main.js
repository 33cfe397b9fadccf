import { calendar } from './calendar.js';
import { fill, h, part } from './dom.js';
import { flow } from './flow.js';
import { breakers, custody, deadLetters, ledger, partitionTable, problems } from './panels.js';
import { clock, measures, minuteText, plot, plotTable } from './plot.js';
import { duration } from './words.js';

/** @typedef {import('../look/snapshot.ts').Snapshot} Snapshot */

/** A stream that the server refused is asked for again after so long, and then after longer. */
const patience = { firstMs: 2_000, mostMs: 30_000 };
/** Looks come every two seconds: without one for so long, what is shown is old. */
const staleMs = 15_000;

/** @type {Snapshot | undefined} */
let latest;
/** @type {number | null} the minute of the plot that is pointed at */
let chosen = null;
let announced = '';
let heardAtMs = 0;

/** @param {Snapshot} snapshot */
function draw(snapshot) {
  const { verdict, topic, rows, days } = snapshot;
  const [, sentence = ''] = /^\w+: (.*)$/s.exec(verdict.sentence) ?? [];
  const [first] = verdict.problems;
  fill('verdict', h('strong', {}, verdict.state), ' ', h('span', {}, first?.what ?? sentence));
  fill('todo', first?.todo ?? '');
  document.body.className = verdict.state;
  document.title = `${verdict.state} · Sluice`;
  announce(verdict);
  fill('problems', problems(verdict));
  fill('flow', flow(snapshot));
  fill('lag', part(topic, partitionTableOf));
  fill('latency-figures', part(rows, latencyFigures));
  drawPlot();
  fill('dead-letters', part(snapshot.deadLetters, deadLetters));
  fill('calendar', days.ok ? calendar(days.value) : []);
  fill(
    'custody',
    part(days, (look) => custody(look, snapshot.atMs)),
  );
  fill('breakers', breakers(snapshot.services));
  fill(
    'ledger',
    part(snapshot.ledger, (look) => ledger(look, snapshot.ledger.atMs)),
  );
}

/** @param {import('../look/snapshot.ts').TopicLook} topic */
function partitionTableOf(topic) {
  return h('table', {}, h('caption', { class: 'hidden' }, 'Lag by partition'), partitionTable(topic));
}

/** @param {import('../look/snapshot.ts').RowsLook} rows */
function latencyFigures({ hour, sampled, truncated }) {
  if (hour === null) return 'No rows came in the last hour.';
  const whole = `Half within ${duration(hour.p50)}, 95 % within ${duration(hour.p95)}, 99 % within ${duration(hour.p99)}, from sent to stored, by ${sampled.toLocaleString('en-US')} rows.`;
  return truncated ? `${whole} Of the beginning of this hour the rows are not counted.` : whole;
}

function plotWidth() {
  const picture = document.getElementById('plot');
  const width = Math.max(280, picture?.clientWidth ?? 0);
  picture?.setAttribute('viewBox', `0 0 ${width} ${measures.height}`);
  return width;
}

function drawPlot() {
  if (latest === undefined || !latest.rows.ok) return;
  const { minutes } = latest.rows.value;
  fill('plot', plot(minutes, plotWidth(), chosen));
  const minute = chosen === null ? undefined : minutes[chosen];
  fill(
    'pointed',
    minute === undefined
      ? 'Point at the plot, or use the arrow keys in it, for a minute’s figures.'
      : minuteText(minute),
  );
  fill('plot-table', plotTable(minutes));
}

/**
 * To a screen reader only what changes, not every figure: its state, and what the problems are about.
 * @param {import('../look/snapshot.ts').Verdict} verdict
 */
function announce(verdict) {
  const about = `${verdict.state} ${verdict.problems.map(({ area, state }) => `${area} ${state}`).join(' ')}`;
  if (about === announced) return;
  announced = about;
  fill('announcement', `The pipeline is ${verdict.sentence}`);
}

function pointing() {
  const picture = document.getElementById('plot');
  if (picture === null) return;
  const count = () => (latest?.rows.ok === true ? latest.rows.value.minutes.length : 0);
  const choose = (/** @type {number | null} */ minute) => {
    chosen = minute === null || count() === 0 ? null : Math.min(count() - 1, Math.max(0, minute));
    drawPlot();
  };
  picture.addEventListener('pointermove', (event) => {
    const { left, width } = picture.getBoundingClientRect();
    const inside = width - measures.left - measures.right;
    choose(Math.floor(((event.clientX - left - measures.left) / inside) * count()));
  });
  new ResizeObserver(() => drawPlot()).observe(picture);
  picture.addEventListener('pointerleave', () => choose(null));
  picture.addEventListener('blur', () => choose(null));
  picture.addEventListener('keydown', (event) => {
    const moves = /** @type {Record<string, number>} */ ({
      ArrowLeft: -1,
      ArrowRight: 1,
      Home: -1_000,
      End: 1_000,
    });
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    choose((chosen ?? count() - 1) + (chosen === null ? Math.min(move, 0) : move));
  });
}

function connection(/** @type {string} */ state, /** @type {string} */ text) {
  fill('connection', h('span', { class: `dot ${state}` }), text);
}

function connect(waitMs = patience.firstMs) {
  const source = new EventSource('/events');
  source.addEventListener('message', ({ data }) => {
    waitMs = patience.firstMs;
    heardAtMs = Date.now();
    /** @type {Snapshot} */
    const snapshot = JSON.parse(data);
    latest = snapshot;
    document.documentElement.classList.remove('stale');
    connection('live', `live, ${new Date(snapshot.atMs).toLocaleTimeString('en-GB')}`);
    draw(snapshot);
  });
  source.addEventListener('error', () => {
    connection(
      'lost',
      latest === undefined ? 'connecting …' : `no connection; as of ${clock(latest.atMs)}, trying again`,
    );
    // The browser tries again by itself, unless the server refused.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => connect(Math.min(waitMs * 2, patience.mostMs)), waitMs);
  });
}

setInterval(() => {
  if (latest === undefined || Date.now() - heardAtMs < staleMs) return;
  document.documentElement.classList.add('stale');
  connection('lost', `nothing heard since ${clock(heardAtMs)}; what is shown is old`);
}, 1_000);

pointing();
connect();
