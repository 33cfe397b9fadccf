import { expect, test } from 'vitest';
import { errorCodes, type Action } from '../../shared/errors.ts';

const meaning: Readonly<Record<Action, string>> = {
  deadLetter: 'Dead letters: this record is at fault, its neighbours are rows',
  retry: 'Outages: waited out, however long; nothing is dead-lettered',
  stop: 'Stops: the process ends with one sentence that says what to change',
};

function page(): string {
  const sections = (['deadLetter', 'retry', 'stop'] as const).map((action) => {
    const rows = Object.entries(errorCodes)
      .filter(([, entry]) => entry.action === action)
      .map(([code, { remedy }]) => `| \`${code}\` | ${remedy} |`);
    return [
      `## ${meaning[action]}`,
      '',
      '| code | what it means, what to do |',
      '| --- | --- |',
      ...rows,
      '',
    ].join('\n');
  });
  const head = `# Errors

Every failure has one code, and what Sluice does follows from the code. A command that fails ends with one line on standard error,
\`sluice: … [CODE]\`, and exit code 2 (a wrong flag or setting), 3 (a server that cannot be reached) or 1 (anything else). A dead letter
says its code in the header \`dlq.code\`.

Written from \`shared/errors.ts\` by \`npx vitest run --project unit test/docs --update\`.
`;
  return `${head}\n${sections.join('\n')}`;
}

test('docs/errors.md says what the catalogue says', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/errors.md');
});
