import type { Writable } from 'node:stream';
import { PipelineError } from './errors.ts';

/**
 * Writes to standard output or its like and resolves when the next may be written, so that a slow reader holds back who writes.
 *
 * @throws PipelineError OUTPUT_FAILED when the reader has gone (`| head`).
 */
export function writeText(stream: Pick<Writable, 'write' | 'once' | 'off'>, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // A broken pipe is also told as an event, which would end the process if nobody listened.
    const onError = (error: Error & { code?: string }) => {
      reject(new PipelineError('OUTPUT_FAILED', error.code));
    };
    stream.once('error', onError);
    stream.write(text, (error) => {
      if (error instanceof Error) return onError(error);
      stream.off('error', onError);
      resolve();
    });
  });
}
