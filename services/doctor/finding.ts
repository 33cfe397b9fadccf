import { errorCodes, type PipelineError } from '../../shared/errors.ts';
import { knownOr } from '../../shared/outage.ts';

/** `skipped`: what it takes is not set here, or it may not be seen with these rights. */
export type FindingState = 'ok' | 'warn' | 'fail' | 'skipped';

/** What one check has found. */
export interface Finding {
  readonly area: string;
  readonly state: FindingState;
  readonly what: string;
  /** What to do; null where nothing is to be done. */
  readonly todo: string | null;
}

/** Collects the findings of one area. */
export class Findings {
  readonly #area: string;
  readonly list: Finding[] = [];

  constructor(area: string) {
    this.#area = area;
  }

  ok(what: string): void {
    this.#add('ok', what, null);
  }

  skipped(what: string, todo: string | null = null): void {
    this.#add('skipped', what, todo);
  }

  warn(what: string, todo: string): void {
    this.#add('warn', what, todo);
  }

  fail(what: string, todo: string): void {
    this.#add('fail', what, todo);
  }

  /** As the catalogue has it. */
  failed(what: string, error: PipelineError): void {
    const detail = error.detail === undefined ? '' : `: ${error.detail}`;
    this.fail(`${what}${detail} [${error.code}]`, errorCodes[error.code].remedy);
  }

  /** Runs a check; what it throws is a finding. */
  async during(what: string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      this.failed(what, knownOr(error));
    }
  }

  #add(state: FindingState, what: string, todo: string | null): void {
    this.list.push({ area: this.#area, state, what, todo });
  }
}

const marks: Readonly<Record<FindingState, string>> = {
  ok: 'ok  ',
  warn: 'WARN',
  fail: 'FAIL',
  skipped: '–   ',
};

/** A line a finding, by area, and below those that want something what it is; the sum last. */
export function findingsText(findings: readonly Finding[]): string {
  const lines: string[] = [];
  for (const [area, of] of Map.groupBy(findings, (finding) => finding.area)) {
    lines.push(area);
    for (const { state, what, todo } of of) {
      lines.push(`  ${marks[state]}  ${what}`);
      if (todo !== null) lines.push(`        → ${todo}`);
    }
    lines.push('');
  }
  const count = (state: FindingState) => findings.filter((one) => one.state === state).length;
  const sum = `${count('ok')} in order, ${count('warn')} to look at, ${count('fail')} wrong, ${count('skipped')} not looked at`;
  return [...lines, sum, ''].join('\n');
}
