import type { ReplayState } from '../../db/queries/replay-job.ts';
import { printableJson } from '../../shared/printable.ts';
import { Progress, type ProgressTerminal } from '../../shared/progress.ts';
import type { Governor } from './governor.ts';
import type { ReplayObserver } from './observe.ts';
import { countOffsets, type PartitionRange } from './offset-ranges.ts';
import { rangesOf, type ReplayPlan } from './plan.ts';

/** A line of JSON is for a program that waits: not as often as the bar moves. */
const jsonEveryMs = 2_000;

/** Shows whoever started a job how far all of its processes have come: a bar on a terminal, or lines of JSON. */
export class Watch implements Disposable {
  readonly #ranges: readonly PartitionRange[];
  readonly #observer: ReplayObserver;
  readonly #governor: Governor;
  readonly #terminal: ProgressTerminal;
  readonly #json: boolean;
  readonly #job: string;
  readonly #startedAt = performance.now();
  #progress: Progress | undefined;
  #state: ReplayState = 'running';
  #positions: readonly bigint[] = [];
  #left = 0n;
  #leftAtStart = 0n;
  #saidAt = -Infinity;

  constructor(
    plan: ReplayPlan,
    observer: ReplayObserver,
    governor: Governor,
    options: { readonly json?: boolean; readonly terminal: ProgressTerminal },
  ) {
    this.#ranges = rangesOf(plan);
    this.#observer = observer;
    this.#governor = governor;
    this.#terminal = options.terminal;
    this.#json = options.json === true;
    this.#job = plan.job;
  }

  seen(positions: readonly bigint[], state: ReplayState): void {
    this.#state = state;
    this.#positions = positions;
    const left = this.#ranges.reduce((sum, { from, to }, i) => sum + to - (positions[i] ?? from), 0n);
    this.#observer.left(left);
    if (this.#progress === undefined) {
      this.#left = left;
      this.#leftAtStart = left;
      this.#progress = new Progress(this.#terminal, {
        what: 'offsets',
        total: Number(left),
        detail: () => this.#detail(),
      });
    }
    const more = Number(this.#left - left);
    this.#left = left;
    if (this.#json) this.#sayJson();
    else this.#progress.add(more);
  }

  [Symbol.dispose](): void {
    this.#progress?.[Symbol.dispose]();
  }

  #detail(): string {
    const { heldBy } = this.#governor;
    const why = this.#state === 'paused' ? ['paused'] : heldBy === undefined ? [] : [`held by ${heldBy}`];
    const parts = this.#ranges.map(({ partition, from, to }, i) => {
      const done = countOffsets([{ partition, from, to: this.#positions[i] ?? from }]);
      return `${partition}: ${Number((100n * done) / (to - from))} %`;
    });
    return [...why, ...parts].join(' ');
  }

  #sayJson(): void {
    const now = performance.now();
    if (now - this.#saidAt < jsonEveryMs) return;
    this.#saidAt = now;
    const done = Number(this.#leftAtStart - this.#left);
    const perSecond = (done * 1_000) / Math.max(1, now - this.#startedAt);
    const { perSecond: pace, heldBy } = this.#governor;
    this.#terminal.write(
      `${printableJson({
        job: this.#job,
        state: this.#state,
        done,
        left: Number(this.#left),
        perSecond: Math.round(perSecond),
        etaSeconds: perSecond > 0 ? Math.ceil(Number(this.#left) / perSecond) : null,
        upTo: pace === Infinity ? null : Math.round(pace),
        heldBy: heldBy ?? null,
        ranges: this.#ranges.map(({ partition, to }, i) => ({
          partition,
          next: String(this.#positions[i] ?? ''),
          to: String(to),
        })),
      })}\n`,
    );
  }
}
