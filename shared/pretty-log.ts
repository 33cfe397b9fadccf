import type { DestinationStream } from 'pino';
import { isatty } from 'node:tty';

const standardError = 2;

/** Log lines for people, on standard error: time, level, service, message, fields. Colours on a terminal. Loaded when asked for. */
export async function prettyDestination(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: standardError,
    sync: true,
    colorize: isatty(standardError),
    singleLine: true,
    translateTime: 'HH:MM:ss.l',
    ignore: 'service,name',
    messageFormat: '{service}: {msg}',
  });
}
