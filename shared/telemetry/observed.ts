import { createLogger, type Logger } from '../log.ts';
import { prettyDestination } from '../pretty-log.ts';
import { openTelemetry, type TelemetryConfig } from './open.ts';
import type { Telemetry } from './telemetry.ts';

export interface Observed extends AsyncDisposable {
  readonly log: Logger;
  readonly telemetry: Telemetry;
}

/**
 * The log and the telemetry of a process, each knowing of the other: lines carry the ids of the trace they belong to, and that spans
 * cannot be delivered is logged. To be released last.
 */
export async function openObserved(
  service: string,
  config: TelemetryConfig & { readonly LOG_LEVEL: string },
  options: { readonly pretty?: boolean | undefined } = {},
): Promise<Observed> {
  const telemetry = await openTelemetry(service, config);
  const log = createLogger({
    service,
    level: config.LOG_LEVEL,
    fields: telemetry.tracing === undefined ? undefined : telemetry.logFields,
    destination: options.pretty === true ? await prettyDestination() : undefined,
  });
  telemetry.reportTo(log);
  return { log, telemetry, [Symbol.asyncDispose]: () => telemetry[Symbol.asyncDispose]() };
}
