import { z } from 'zod';
import { PipelineError } from '../errors.ts';

const errorBody = z.object({ errors: z.array(z.string()) });

/** What the vault says of a request it did not carry out. For us to decide by; **never to repeat: it may quote what it was sent**. */
export function errorsOf(body: Buffer): readonly string[] | undefined {
  try {
    return errorBody.safeParse(JSON.parse(body.toString())).data?.errors;
  } catch {
    return undefined;
  }
}

/**
 * Is this the vault's 404 for a secret that is not there? That one names no error. A mount or a namespace that does not exist is
 * a 404 with an error, and a proxy without a vault behind it says something else.
 */
export function isAbsent(status: number, body: Buffer): boolean {
  return status === 404 && errorsOf(body)?.length === 0;
}

/** The error for an answer that nobody has a use for. */
export function refusal(status: number, body: Buffer, right?: string): PipelineError {
  if (status === 403)
    return new PipelineError('VAULT_FORBIDDEN', right === undefined ? undefined : `it grants no ${right}`);
  // A success we do not know is not KV version 2 either.
  if (status === 404 || status === 405 || status < 300) {
    return new PipelineError('VAULT_NOT_FOUND', `no KV version 2 mount, or no such namespace (${status})`);
  }
  // A mount that is being made, or upgraded from version 1, answers with 400 for a moment.
  if (
    status === 400 &&
    errorsOf(body)?.some((text) => /upgrad(e|ing) from non-versioned/i.test(text)) === true
  ) {
    return new PipelineError('VAULT_UNAVAILABLE', 'the mount is being upgraded');
  }
  return new PipelineError('VAULT_FORBIDDEN', `HTTP ${status}`);
}
