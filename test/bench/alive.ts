import { readFileSync } from 'node:fs';
import type { ServiceProcess } from '../helpers/service-process.ts';

const givenUpMs = 300_000;

/** Throws, with the end of its log, once the program has ended or five minutes have passed. */
export function watchOver(started: ServiceProcess): () => void {
  const until = Date.now() + givenUpMs;
  return () => {
    if (started.ended === undefined && Date.now() < until) return;
    const why = started.ended === undefined ? 'it is not done in time' : `it ended (${started.ended})`;
    throw new Error(`${why}: ${readFileSync(started.logFile, 'utf8').slice(-2_000)}`);
  };
}
