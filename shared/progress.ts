import type { Clock } from './time.ts';

/** Where a bar is drawn: standard error, handed in by a process root. */
export interface ProgressTerminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is counted, in the plural: `events`. */
  readonly what: string;
  /** How many there will be, when that is known. */
  readonly total?: number | undefined;
  readonly clock?: Clock;
  /** More to say behind the line, where there is room. */
  readonly detail?: () => string;
}

/** Often enough to be seen moving, rarely enough to cost nothing. */
const redrawEveryMs = 100;
const barWidth = 24;

/**
 * How far a long command has come, redrawn in one line of a terminal and taken away at the end. **Silent when the output is no
 * terminal**: logs and pipes get nothing of it.
 */
export class Progress implements Disposable {
  readonly #terminal: ProgressTerminal;
  readonly #options: ProgressOptions;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #drawnMs = -Infinity;
  #done = 0;
  #drawn = false;

  constructor(terminal: ProgressTerminal, options: ProgressOptions) {
    this.#terminal = terminal;
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#startedMs = this.#clock();
  }

  /** Counts `more`, and redraws when it is time to. */
  add(more: number): void {
    this.#done += more;
    if (this.#terminal.isTTY !== true) return;
    const nowMs = this.#clock();
    if (nowMs - this.#drawnMs < redrawEveryMs) return;
    this.#drawnMs = nowMs;
    this.#drawn = true;
    const detail = this.#options.detail?.() ?? '';
    const line = `${progressLine({
      what: this.#options.what,
      done: this.#done,
      total: this.#options.total,
      elapsedMs: nowMs - this.#startedMs,
    })}${detail === '' ? '' : ` · ${detail}`}`;
    // A terminal that does not know its width says 0.
    const columns = this.#terminal.columns === 0 ? undefined : this.#terminal.columns;
    this.#terminal.write(`\r\u001b[2K${line.slice(0, Math.max(1, (columns ?? 80) - 1))}`);
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    if (this.#drawn) this.#terminal.write('\r\u001b[2K');
    this.#drawn = false;
  }
}

/**
 * `"[############------------]  50 % 5,000 of 10,000 events, 1,000/s, 5 s left"`; without a total `"5,000 events, 1,000/s"`. More
 * done than there should be (rows came in meanwhile) counts as all of it.
 */
export function progressLine(state: {
  readonly what: string;
  readonly done: number;
  readonly total?: number | undefined;
  readonly elapsedMs: number;
}): string {
  const { what, done, total, elapsedMs } = state;
  const perSecond = elapsedMs > 0 ? (done * 1_000) / elapsedMs : 0;
  const rate = `${number(Math.round(perSecond))}/s`;
  if (total === undefined) return `${number(done)} ${what}, ${rate}`;
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const filled = Math.round(share * barWidth);
  const bar = '#'.repeat(filled) + '-'.repeat(barWidth - filled);
  const percent = String(Math.floor(share * 100)).padStart(3);
  const left = Math.max(0, total - done);
  const eta = perSecond > 0 ? `, ${duration(left / perSecond)} left` : '';
  return `[${bar}] ${percent} % ${number(done)} of ${number(total)} ${what}, ${rate}${eta}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

/** `"8 s"`, `"3 min"`, `"2 h 5 min"`. */
function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
