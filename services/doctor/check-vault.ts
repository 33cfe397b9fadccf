import type { Env } from '../../shared/config.ts';
import { addDays, dayOf, horizon, type Day } from '../../shared/time.ts';
import { openKeyInventory } from '../../shared/vault/open-vault.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { VaultConfig } from '../../shared/vault/vault-config.ts';
import { judgeHttpClock } from './clock.ts';
import { Findings, type Finding } from './finding.ts';

/** The vault: whether it answers, and whether the keys that are needed soon are there, by their names alone. */
export async function checkVault(env: Env, config: VaultConfig): Promise<Finding[]> {
  const findings = new Findings('vault');
  try {
    const inventory = await openKeyInventory(config);
    const transit = new Set(await inventory.transitDays());
    const days = new Set((await inventory.dayKeys()).map(({ day }) => day));
    const epochs = await inventory.pepperEpochs();
    findings.ok(`the vault answers: keys of ${days.size} days, transit keys of ${transit.size}`);
    judgeDays(findings, 'private keys', days);
    judgeDays(findings, 'transit keys', transit);
    if (epochs.length === 0)
      findings.fail('the vault has no pepper: writers wait for it', 'Run "sluice maintain".');
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    // Most of a pipeline's credentials may not list, and should not.
    if (error.code === 'VAULT_FORBIDDEN') {
      findings.skipped(
        'the vault answers; this credential may not list keys',
        "To have them counted, run this with the auditor's.",
      );
    } else {
      findings.failed('the vault cannot be asked', error);
    }
  }
  const address = /^vault\+(https?:\/\/[^/]+)/.exec(config.VAULT_URL)?.[1];
  if (address !== undefined) await judgeHttpClock(findings, 'the vault', `${address}/v1/sys/health`);
  if (config.VAULT_URL.startsWith('file:') && (env['SLUICE_ENV'] ?? 'dev') !== 'dev') {
    findings.warn(
      'the vault is a directory of this machine',
      'Use HashiCorp Vault, OpenBao or AWS Secrets Manager.',
    );
  }
  return findings.list;
}

/** Today and the days ahead: those before may have been shredded or archived, and "sluice keys" knows. */
function judgeDays(findings: Findings, what: string, there: ReadonlySet<Day>): void {
  const today = dayOf(Date.now());
  const wanted = Array.from({ length: horizon.daysAhead }, (_, i) => addDays(today, i));
  const lacking = wanted.filter((day) => !there.has(day));
  if (lacking.length === 0) return;
  const text = `${what} are missing: ${lacking.join(', ')}`;
  if (lacking[0] === today)
    findings.fail(text, 'Run "sluice maintain"; "sluice keys" says whether one was lost.');
  else findings.warn(text, 'Run "sluice maintain", daily or with --every 1h.');
}
