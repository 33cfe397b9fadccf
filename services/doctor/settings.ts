import type { Env } from '../../shared/config.ts';
import { PipelineError } from '../../shared/errors.ts';
import { Findings, type Finding } from './finding.ts';

/** How a process reads its settings: what it throws says what is wrong with them. */
export interface ProcessSettings {
  readonly name: string;
  readonly parse: (env: Env) => unknown;
}

/**
 * Every process's settings, as the process itself reads them. Each has an environment of its own in production: of one that is only missing some it
 * is no fault here, unless it is `wanted`.
 */
export function checkSettings(
  env: Env,
  processes: readonly ProcessSettings[],
  wanted: ReadonlySet<string>,
): Finding[] {
  const findings = new Findings('settings');
  for (const { name, parse } of processes) {
    const problems = problemsOf(env, parse);
    const missing = problems.filter((problem) => problem.endsWith(' is not set'));
    const wrong = problems.filter((problem) => !missing.includes(problem));
    if (problems.length === 0) {
      findings.ok(`${name}: all there`);
    } else if (wrong.length > 0 || wanted.has(name)) {
      findings.fail(`${name}: ${problems.join('; ')}`, 'Correct the settings named.');
    } else {
      findings.skipped(`${name}: ${missing.join('; ')}`);
    }
  }
  return findings.list;
}

function problemsOf(env: Env, parse: ProcessSettings['parse']): string[] {
  try {
    parse(env);
    return [];
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return (error.detail ?? error.message).replace(/ \(for the local stack: .*\)$/, '').split('; ');
  }
}
