import type { Findings } from './finding.ts';

/** SQS refuses a signature that is fifteen minutes off; a message is a day's by its SentTimestamp, and keys are made a week ahead. */
const limits = { warnMs: 2_000, failMs: 60_000 };

const todo = 'Have both clocks set by NTP: days, retention and the order of events go by them.';

/** How far a server's clock is from ours, which it was asked between `beforeMs` and `afterMs`. */
export function judgeClock(
  findings: Findings,
  server: string,
  at: {
    readonly serverMs: number;
    readonly beforeMs: number;
    readonly afterMs: number;
    readonly precisionMs: number;
  },
): void {
  const { serverMs, beforeMs, afterMs, precisionMs } = at;
  // It may have looked at its clock at any time in between.
  const early = beforeMs - (serverMs + precisionMs);
  const late = serverMs - afterMs;
  const skewMs = Math.max(0, early, late);
  const side = early > late ? 'behind' : 'ahead of';
  if (skewMs <= limits.warnMs) {
    findings.ok(`the clock of ${server} is ours, within ${precisionMs + afterMs - beforeMs} ms`);
    return;
  }
  const what = `the clock of ${server} is ${(skewMs / 1_000).toFixed(1)} s ${side} ours`;
  if (skewMs > limits.failMs) findings.fail(what, todo);
  else findings.warn(what, todo);
}

const patienceMs = 3_000;

/** By the `Date` of whatever an HTTP server answers, which is in whole seconds. Silent when it does not answer or has none: others say so. */
export async function judgeHttpClock(findings: Findings, server: string, url: string): Promise<void> {
  const beforeMs = Date.now();
  const answer = await fetch(url, {
    method: 'HEAD',
    redirect: 'manual',
    signal: AbortSignal.timeout(patienceMs),
  }).catch(() => undefined);
  const afterMs = Date.now();
  await answer?.body?.cancel();
  const serverMs = Date.parse(answer?.headers.get('date') ?? '');
  if (Number.isNaN(serverMs)) return;
  judgeClock(findings, server, { serverMs, beforeMs, afterMs, precisionMs: 1_000 });
}
