import type { Logger } from './log.ts';

/** What a process root hands over of `process`, so that nothing else touches it. */
export interface ProcessPort {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  off(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  exit(code: number): never;
}

/** A supervisor sends SIGKILL 30 s after SIGTERM (Kubernetes' default); we are gone before. */
export const shutdownDeadlineMs = 25_000;

/**
 * Runs a service until it ends by itself or a signal stops it. The first SIGTERM or SIGINT aborts `stop`, and the
 * service has three quarters of the deadline to drain before `force` aborts, and the whole of it before the process
 * exits with 1. A second signal exits at once. Nothing is lost either way: what was not acknowledged is delivered again.
 */
export async function runUntilStopped(
  port: ProcessPort,
  log: Logger,
  service: (signals: { stop: AbortSignal; force: AbortSignal }) => Promise<void>,
  deadlineMs = shutdownDeadlineMs,
): Promise<void> {
  const stop = new AbortController();
  const force = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  const onSignal = () => {
    if (stop.signal.aborted) {
      log.warn('second signal: exiting at once');
      port.exit(1);
    }
    log.info('stopping');
    stop.abort();
    timers.push(
      setTimeout(() => force.abort(), deadlineMs * 0.75).unref(),
      setTimeout(() => {
        log.error('did not stop within its deadline: exiting');
        port.exit(1);
      }, deadlineMs).unref(),
    );
  };
  port.on('SIGTERM', onSignal);
  port.on('SIGINT', onSignal);
  try {
    await service({ stop: stop.signal, force: force.signal });
  } finally {
    for (const timer of timers) clearTimeout(timer);
    port.off('SIGTERM', onSignal);
    port.off('SIGINT', onSignal);
  }
}

/** Resolves after `ms`, or at once when `signal` aborts (it never rejects: the caller looks at the signal). */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, Math.max(0, ms));
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** Exponential backoff with full jitter: a random wait below min(cap, base·2^attempt). Attempts count from 0. */
export function backoffMs(
  attempt: number,
  options: { baseMs: number; capMs: number; random?: () => number },
): number {
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(attempt, 20));
  return (options.random ?? Math.random)() * ceiling;
}
