import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger } from 'pino';

export interface LogOptions {
  readonly service: string;
  readonly level: string;
  /** Fields of every line that depend on the moment: the trace it belongs to. */
  readonly fields?: (() => object) | undefined;
  /** Instead of standard error. */
  readonly destination?: DestinationStream | undefined;
}

/**
 * JSON lines on standard error, so that a command's standard output stays its result. Callers log names, counts and
 * coordinates; **never a body, a value, an error of a driver or a whole error object** (see {@link describe}).
 */
export function createLogger(options: LogOptions): Logger {
  const { fields } = options;
  return pino(
    {
      name: options.service,
      level: options.level,
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      ...(fields === undefined ? {} : { mixin: fields }),
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
}
