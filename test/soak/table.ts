import type { FaultReport } from '../faults/fault.ts';

/** Where the runs write in docs/reliability.md. */
const marks = { begin: '<!-- soak: written by npm run test:soak -->', end: '<!-- /soak -->' };

export interface SoakRun {
  readonly date: string;
  readonly seed: number;
  readonly minutes: number;
  /** What ran, in order; a fault that could not be run to its end has no report. */
  readonly rounds: readonly { readonly fault: string; readonly report: FaultReport | undefined }[];
  /** Sentences on what else was measured. */
  readonly notes: readonly string[];
}

/** The page with its table replaced. @throws Error when the page has no place for it */
export function withTable(page: string, run: SoakRun): string {
  const begin = page.indexOf(marks.begin);
  const end = page.indexOf(marks.end);
  if (begin < 0 || end < begin) throw new Error('docs/reliability.md has lost the marks of its table');
  return `${page.slice(0, begin + marks.begin.length)}\n\n${tableOf(run)}\n\n${page.slice(end)}`;
}

/** Faults × rounds × messages × lost × doubled, and how to repeat it. */
export function tableOf(run: SoakRun): string {
  const byFault = Map.groupBy(run.rounds, ({ fault }) => fault);
  const names = [...byFault.keys()].sort((a, b) => a.localeCompare(b));
  const lines = names.map((fault) => {
    const rounds = byFault.get(fault) ?? [];
    return row(fault, rounds);
  });
  const [messages, lost, doubled] = (['messages', 'lost', 'doubled'] as const).map((what) =>
    sum(run.rounds, what),
  );
  return [
    `${run.date}, ${run.minutes} minutes, \`npm run test:soak -- --minutes ${run.minutes} --seed ${run.seed}\`: ` +
      `${run.rounds.length} rounds, ${messages} messages, ${lost} lost, ${doubled} doubled.`,
    '',
    '| fault | rounds | messages | lost | doubled | kept |',
    '| --- | ---: | ---: | ---: | ---: | --- |',
    ...lines,
    ...(run.notes.length > 0 ? ['', ...run.notes.map((note) => `- ${note}`)] : []),
  ].join('\n');
}

function row(fault: string, rounds: SoakRun['rounds']): string {
  const broken = rounds.filter(({ report }) => report === undefined || report.failure !== undefined).length;
  const kept = broken === 0 ? 'yes' : `not in ${broken}`;
  const counts = (['messages', 'lost', 'doubled'] as const).map((what) => sum(rounds, what));
  return `| ${fault} | ${rounds.length} | ${counts.join(' | ')} | ${kept} |`;
}

function sum(rounds: SoakRun['rounds'], what: 'messages' | 'lost' | 'doubled'): number {
  return rounds.reduce((total, { report }) => total + (report?.[what] ?? 0), 0);
}
