import { copyFile, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PipelineError } from '../../shared/errors.ts';
import { capture } from './commands.ts';
import { requireMaven } from './java.ts';
import { withFileLock } from './lock.ts';
import type { Progress } from './server.ts';

const kafkaVersion = '4.3.0';
const pom = fileURLToPath(new URL('kafka/pom.xml', import.meta.url));

/** The downloads of this checkout, shared by every stack and every test run in it, and kept by `reset`. */
export const sharedCache = fileURLToPath(new URL('../../.sluice/cache', import.meta.url));

/** Where Kafka's jars lie below `cache`, once {@link ensureKafkaJars} has run. */
export function kafkaJars(cache: string): string {
  return join(cache, `kafka-${kafkaVersion}`);
}

/**
 * Downloads Kafka's jars to {@link kafkaJars} by Maven from kafka/pom.xml unless they are there. Only one
 * caller downloads, the others wait. They lie under their name only when they are all there, together with the pom they
 * follow from: another pom is another download.
 *
 * @throws PipelineError STACK without Maven or network
 */
export async function ensureKafkaJars(cache: string, progress: Progress): Promise<void> {
  const jars = kafkaJars(cache);
  if (await isCurrent(jars)) return;
  await withFileLock(
    join(cache, 'download.lock'),
    () => progress('waiting for another download of Kafka'),
    async () => {
      if (!(await isCurrent(jars))) await download(cache, jars, progress);
    },
  );
}

async function download(cache: string, jars: string, progress: Progress): Promise<void> {
  await requireMaven();
  progress(`downloading Kafka ${kafkaVersion} (47 jars, 44 MB, from Maven Central or ~/.m2) to ${jars}`);
  const aside = `${jars}.partial`;
  await rm(aside, { recursive: true, force: true });
  const { code, stdout, stderr } = await capture(
    'mvn',
    [
      '--batch-mode',
      '--no-transfer-progress',
      '--file',
      pom,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${aside}`,
    ],
    { cwd: cache },
  );
  if (code !== 0) {
    throw new PipelineError('STACK', `Maven could not download Kafka: ${mavenError(stdout + stderr)}`);
  }
  await copyFile(pom, join(aside, 'pom.xml'));
  await rm(jars, { recursive: true, force: true });
  await rename(aside, jars);
}

async function isCurrent(jars: string): Promise<boolean> {
  const [wanted, found] = await Promise.all([
    readFile(pom, 'utf8'),
    readFile(join(jars, 'pom.xml'), 'utf8').catch(() => undefined),
  ]);
  return wanted === found;
}

/** The first of Maven's `[ERROR]` lines; the rest is advice. */
export function mavenError(output: string): string {
  const line = output.split('\n').find((line) => line.startsWith('[ERROR]'));
  return line?.slice('[ERROR]'.length).trim().slice(0, 300) ?? 'it gave no reason';
}
