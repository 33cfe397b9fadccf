import type { Schedule } from '../../shared/kafka/publisher.ts';

interface Task {
  readonly at: number;
  readonly run: () => void;
}

/** Timers that fire when told to, in their order. */
export class VirtualTime {
  now = 0;
  /** Every delay ever asked for, in ms. */
  readonly delays: number[] = [];
  #tasks: Task[] = [];

  readonly schedule: Schedule = (run, ms) => {
    const task = { at: this.now + ms, run };
    this.delays.push(ms);
    this.#tasks.push(task);
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== task);
    };
  };

  get pending(): number {
    return this.#tasks.length;
  }

  /** Lets `ms` pass, and after each timer everything that follows from it. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await settled();
    for (;;) {
      const [next] = this.#tasks.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#tasks = this.#tasks.filter((task) => task !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settled();
    }
    this.now = end;
  }
}

/** Resolves when every promise that can settle without I/O or timers has. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
