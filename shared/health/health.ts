import type { ErrorCode, PipelineError } from '../errors.ts';
import type { OutageObserver } from '../outage.ts';
import type { Clock } from '../time.ts';
import { Loop } from './loop.ts';

/** An answer to a probe: names, codes, counts and times, never an address, a setting or a value. */
export interface HealthReport {
  readonly ok: boolean;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Dependency {
  /** When something was last told of it. */
  toldAtMs: number;
  downSinceMs: number | undefined;
  code: ErrorCode | undefined;
  /** Attempts that failed since the process began, by code. */
  readonly failures: Map<ErrorCode, number>;
}

/**
 * How a process is. **Live**: its loops turn; when they do not, only a new process helps. **Ready**: it has started, and no dependency
 * is down; when one is, it waits, and a restart would not help.
 */
export class Health {
  readonly #service: string;
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #loops: Loop[] = [];
  readonly #dependencies = new Map<string, Dependency>();
  #started = false;

  /** @param now monotonic, milliseconds */
  constructor(service: string, clock: Clock = Date.now, now: () => number = () => performance.now()) {
    this.#service = service;
    this.#clock = clock;
    this.#now = now;
  }

  loop(name: string, limitMs: number): Loop {
    const loop = new Loop(name, limitMs);
    this.#loops.push(loop);
    return loop;
  }

  /** The first loop that is stuck. */
  get stuck(): Loop | undefined {
    return this.#loops.find((loop) => loop.stuck);
  }

  /** Every server has answered once, and work has begun. */
  started(): void {
    this.#started = true;
  }

  /** What is told of a dependency. Several may tell of one: the last word counts. */
  dependency(name: string): OutageObserver {
    const entry: Dependency = this.#dependencies.get(name) ?? {
      toldAtMs: -Infinity,
      downSinceMs: undefined,
      code: undefined,
      failures: new Map<ErrorCode, number>(),
    };
    this.#dependencies.set(name, entry);
    return {
      failed: ({ code }: PipelineError) => {
        entry.toldAtMs = this.#now();
        entry.downSinceMs ??= this.#clock();
        entry.code = code;
        entry.failures.set(code, (entry.failures.get(code) ?? 0) + 1);
      },
      succeeded: () => {
        entry.toldAtMs = this.#now();
        entry.downSinceMs = undefined;
        entry.code = undefined;
      },
    };
  }

  /** How long nothing has been told of a dependency, however it was. */
  toldAgoMs(name: string): number {
    return this.#now() - (this.#dependencies.get(name)?.toldAtMs ?? -Infinity);
  }

  /** How each is, and its attempts that failed since the process began. */
  get dependencies(): { name: string; up: boolean; failures: ReadonlyMap<ErrorCode, number> }[] {
    return [...this.#dependencies].map(([name, { downSinceMs, failures }]) => ({
      name,
      up: downSinceMs === undefined,
      failures,
    }));
  }

  live(): HealthReport {
    const ok = this.stuck === undefined;
    const loops = this.#loops.map(({ name, working, idleMs, limitMs, stuck }) => ({
      name,
      state: stuck ? 'stuck' : working ? 'working' : 'waiting for work',
      idleMs,
      limitMs,
    }));
    return { ok, body: { service: this.#service, status: ok ? 'live' : 'stuck', loops } };
  }

  ready(): HealthReport {
    const now = this.#clock();
    const dependencies = [...this.#dependencies].map(([name, { downSinceMs, code, failures }]) => {
      const counts = Object.fromEntries(failures);
      if (downSinceMs === undefined) return { name, state: 'up', failures: counts };
      return { name, state: 'down', code, downMs: now - downSinceMs, failures: counts };
    });
    const down = dependencies.some(({ state }) => state === 'down');
    const ok = this.#started && !down;
    const status = ok ? 'ready' : this.#started ? 'waiting' : 'starting';
    return { ok, body: { service: this.#service, status, dependencies } };
  }
}
