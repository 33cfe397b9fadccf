import type { DiagLogger } from '@opentelemetry/api';
import type { Logger } from '../log.ts';

/** A collector that is away is no news after the first line. */
const quietMs = 600_000;

/**
 * What the SDK has to complain of: said in a sentence of ours, once in ten minutes, for its own words may quote what it was sending.
 * **Telemetry that cannot be delivered never holds up or ends a process.**
 */
export class TelemetryTrouble implements DiagLogger {
  #log: Logger | undefined;
  #saidAtMs = -Infinity;
  #since = 0;
  #failures = 0;

  /** Of what the process has tried to deliver. */
  get failures(): number {
    return this.#failures;
  }

  reportTo(log: Logger): void {
    this.#log = log;
  }

  error(): void {
    this.#say();
  }

  warn(): void {
    this.#say();
  }

  info(): void {}

  debug(): void {}

  verbose(): void {}

  #say(): void {
    this.#since += 1;
    this.#failures += 1;
    const now = performance.now();
    if (this.#log === undefined || now - this.#saidAtMs < quietMs) return;
    this.#log.warn(
      { times: this.#since },
      'spans or metrics cannot be delivered, or a setting of theirs is wrong: look at the collector and the OTEL_ variables',
    );
    this.#saidAtMs = now;
    this.#since = 0;
  }
}
