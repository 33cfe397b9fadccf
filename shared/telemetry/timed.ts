import { knownOr } from '../outage.ts';
import type { LabelsOf } from './instruments.ts';
import type { Metrics } from './metrics.ts';
import type { TraceSpan } from './tracing.ts';

type Outcome = 'ok' | 'failed';

/**
 * A call that is a stage: its duration by outcome, and its span, if it has one, which ends with the code of what it threw.
 * @throws what `call` throws
 */
export async function timed<T>(
  stage: LabelsOf<'sluice.stage.duration.seconds'>['stage'],
  call: () => Promise<T>,
  told: {
    readonly metrics: Metrics;
    readonly span: TraceSpan | undefined;
    /** Called once, when the outcome is known. */
    readonly ended?: (outcome: Outcome) => void;
  },
): Promise<T> {
  const { metrics, span, ended } = told;
  const startedAt = performance.now();
  const seen = (outcome: Outcome) => {
    const seconds = (performance.now() - startedAt) / 1_000;
    metrics.record('sluice.stage.duration.seconds', seconds, { stage, outcome });
    ended?.(outcome);
  };
  try {
    const result = await (span === undefined ? call() : span.during(call));
    seen('ok');
    span?.end();
    return result;
  } catch (error) {
    seen('failed');
    span?.end({ error: knownOr(error).code });
    throw error;
  }
}
