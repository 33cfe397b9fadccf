import { PipelineError } from '../../shared/errors.ts';
import { capture } from './commands.ts';

/** Kafka 4 brokers need it: https://kafka.apache.org/43/getting-started/compatibility/. */
const oldestJava = 17;

const otherWay = 'or use containers instead: docker compose up';

/** @throws PipelineError STACK, naming what to install, without a Java that Kafka runs on. */
export async function requireJava(): Promise<void> {
  const { code, stderr, stdout } = await capture('java', ['-version']);
  const found = code === 0 ? javaMajor(`${stderr}\n${stdout}`) : undefined;
  if (found === undefined) {
    throw new PipelineError('STACK', `Kafka needs Java: install JDK ${oldestJava} or newer, ${otherWay}`);
  }
  if (found < oldestJava) {
    throw new PipelineError(
      'STACK',
      `Kafka needs Java ${oldestJava} and this is ${found}: install JDK ${oldestJava} or newer, ${otherWay}`,
    );
  }
}

/** @throws PipelineError STACK, naming what to install, without Maven. */
export async function requireMaven(): Promise<void> {
  const { code } = await capture('mvn', ['-version']);
  if (code !== 0) {
    throw new PipelineError('STACK', `Kafka is downloaded by Maven: install Maven (mvn), ${otherWay}`);
  }
}

/** The feature release in `java -version`: `"17.0.15"` → 17, `"21-ea"` → 21, `"1.8.0_392"` → 8. */
export function javaMajor(versionText: string): number | undefined {
  const match = /version "(?:1\.)?(\d+)/.exec(versionText);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
