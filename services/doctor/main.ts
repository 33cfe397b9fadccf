import { archiveSlice, parseConfig, serviceUrlsSlice, sqsSlice, type Env } from '../../shared/config.ts';
import { PipelineError } from '../../shared/errors.ts';
import { createLogger } from '../../shared/log.ts';
import { writeText } from '../../shared/output.ts';
import { printableJson } from '../../shared/printable.ts';
import { vaultSlice } from '../../shared/vault/vault-config.ts';
import type { z } from 'zod';
import { checkKafka, kafkaShape } from './check-kafka.ts';
import { checkOthers } from './check-others.ts';
import { checkPostgres } from './check-postgres.ts';
import { checkQueue } from './check-queue.ts';
import { checkVault } from './check-vault.ts';
import { Findings, findingsText, type Finding } from './finding.ts';
import { checkSettings, type ProcessSettings } from './settings.ts';

export interface DoctorOptions {
  /** Processes whose settings must all be here. */
  readonly for?: readonly string[];
  readonly json?: boolean;
}

/**
 * `sluice doctor`: settings, servers, rights, clocks, horizons; what is wrong and what to do about it. Changes nothing. The exit code is 1 when
 * anything fails.
 *
 * @param processes every process, with what reads its settings
 * @throws PipelineError USAGE
 */
export async function doctor(options: DoctorOptions, processes: readonly ProcessSettings[]): Promise<number> {
  const { env } = process;
  const names = processes.map(({ name }) => name);
  const unknown = options.for?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new PipelineError('USAGE', `--for takes ${names.join(', ')}`);
  // What a server says is in the findings.
  const log = createLogger({ service: 'doctor', level: 'silent' });
  const servers = await Promise.all([
    checkPostgres(env),
    given('kafka', env, kafkaShape, (config) => checkKafka(config, log)),
    given('sqs', env, sqsSlice, checkQueue),
    given('vault', env, vaultSlice, (config) => checkVault(env, config)),
    given(
      'archive',
      env,
      { ...archiveSlice, ARCHIVE_URL: archiveSlice.ARCHIVE_URL.optional(), ...serviceUrlsSlice },
      (config) => checkOthers(env, config),
    ),
  ]);
  const findings = [...checkSettings(env, processes, new Set(options.for)), ...servers.flat()];
  const text = options.json === true ? `${printableJson({ findings })}\n` : findingsText(findings);
  await writeText(process.stdout, text);
  return findings.some(({ state }) => state === 'fail') ? 1 : 0;
}

/** Asks a server when its settings are here, all and right: what is wrong with them is among the settings' findings. */
async function given<S extends z.ZodRawShape>(
  area: string,
  env: Env,
  shape: S,
  check: (config: z.output<z.ZodObject<S>>) => Promise<Finding[]>,
): Promise<Finding[]> {
  const findings = new Findings(area);
  let config: z.output<z.ZodObject<S>>;
  try {
    config = parseConfig(env, shape);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    findings.skipped('not asked, for its settings are missing or wrong here');
    return findings.list;
  }
  return check(config);
}
