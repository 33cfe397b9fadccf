import { PipelineError } from '../errors.ts';

/**
 * Letters, digits, `_ . -` and `/` between the parts; no part begins with a dot. So a name never leaves the directory it is under, never is
 * one of the place's own files, and needs no escaping in a bucket.
 */
const nameSyntax = /^(?!.{513})[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(\/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})*$/;

export function isName(text: string): boolean {
  return nameSyntax.test(text);
}

/** @throws PipelineError INTERNAL for what is no name of something in an archive */
export function checkedName(text: string): string {
  if (!isName(text)) throw new PipelineError('INTERNAL', 'not the name of something in an archive');
  return text;
}

/** A prefix is how a name begins: nothing, `user_logins/`, `user_logins/2026-08-01/ro`. */
export function checkedPrefix(text: string): string {
  checkedName(text === '' || text.endsWith('/') ? `${text}x` : text);
  return text;
}
