import type { Held } from '../../../services/connector/held.ts';
import type { Logger } from '../../../shared/log.ts';
import { createLogger } from '../../../shared/log.ts';

export const quiet: Logger = createLogger({ service: 'test', level: 'silent' });
export const never = new AbortController().signal;

export function held(receiptHandle: string, atMs = 0, bytes = 1): Held {
  return {
    receiptHandle,
    bytes,
    receivedAtMs: atMs,
    invisibleSinceMs: atMs,
    state: 'held',
    trace: undefined,
  };
}

/** A logger that keeps what it was told, as objects. */
export function recordingLogger(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ service: 'test', level: 'silent' });
  const record = (level: string) => (fields: unknown, message?: string) => {
    lines.push({ level, ...(typeof fields === 'object' ? fields : {}), msg: message ?? fields });
  };
  const levels = { info: record('info'), warn: record('warn'), error: record('error') };
  return { log: Object.assign(Object.create(log), levels), lines };
}
