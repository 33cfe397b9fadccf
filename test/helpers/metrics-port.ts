import { readFile } from 'node:fs/promises';
import type { ServiceProcess } from './service-process.ts';

/** Where a process with METRICS_PORT=0 says that it has its metrics; undefined: it has not said so yet. */
export async function metricsPort(process: ServiceProcess): Promise<number | undefined> {
  const log = await readFile(process.logFile, 'utf8');
  const port = /"port":(\d+)[^\n]*"msg":"metrics"/.exec(log)?.[1];
  return port === undefined ? undefined : Number(port);
}
