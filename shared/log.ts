import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * JSON lines on standard error, so that a command's standard output stays its result. Callers log names, counts and
 * coordinates; **never a body, a value, an error of a driver or a whole error object** (see {@link describe}).
 */
export function createLogger(options: { service: string; level: string }): Logger {
  return pino(
    {
      name: options.service,
      level: options.level,
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
