import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pageDirectory, readResult, resultSchemas } from './results.ts';
import {
  budgetSection,
  contestSection,
  growthSection,
  latencySection,
  restartSection,
  type Section,
} from './sections.ts';

/**
 * `npm run bench:page`: docs/performance.md and its pictures, from the latest results of this checkout, or from those that lie beside the page.
 * `-- --measure` runs every benchmark first, which takes an hour.
 */
const { values } = parseArgs({ options: { measure: { type: 'boolean', default: false } } });
const root = fileURLToPath(new URL('../../..', import.meta.url));
if (values.measure) {
  for (const name of ['peers', 'latency', 'growth', 'restart', 'profile'])
    execFileSync('npm', ['run', `bench:${name}`], { cwd: root, stdio: 'inherit' });
}

const intro = `# Performance

Made by \`npm run bench:page\` from the results beside it (\`docs/performance/*.json\`); with \`-- --measure\` it measures them anew. Everything runs on one machine in
one run: Kafka 4.3, Postgres 18 with fsync on, an SQS server (fauxqs, with a queue that takes a message from its front at once, however many wait: as it comes, that
is three quarters of its time at 100,000, for every client), the program measured and the one that measures. Every row and message is counted and a sample of
the sealed fields opened; a contender that loses or doubles one ends the run. Peers are built from their released Go modules and run with the best settings that
were found (\`test/bench/peers\`): they encrypt two fields with AES-GCM and hash two, Sluice seals under a public-key scheme with bound data, validates and keeps a
ledger. Rates on a machine that others share say little; **look at CPU a row, at the ratios, and at how far two runs of the same thing differ (A/A)**.

| | |
| --- | --- |
| \`npm run bench\` | writer, COPY of the same rows, connector, sealing |
| \`npm run bench:peers\` | against Bento and Redpanda Connect |
| \`npm run bench:latency\` | milliseconds from SQS send to the row |
| \`npm run bench:growth\` | a full day, many partitions, a long backlog |
| \`npm run bench:restart\` | kill, stop, start |
| \`npm run bench:profile\` | the budget below |
| \`npm run bench:guard\` | for pull requests: CPU a row against test/bench/baseline.json |
`;

const writer = readResult('peers-writer', resultSchemas['peers-writer']);
const connector = readResult('peers-connector', resultSchemas['peers-connector']);
const latency = readResult('latency', resultSchemas.latency);
const growth = readResult('growth', resultSchemas.growth);
const restart = readResult('restart', resultSchemas.restart);
const profile = readResult('profile', resultSchemas.profile);
const sections: Section[] = [
  ...(writer ? [contestSection('Kafka → sealed rows', 'writer', writer, { rate: 2, memoryMiB: 256 })] : []),
  ...(connector
    ? [contestSection('SQS → Kafka', 'connector', connector, { rate: 1.5, memoryMiB: 150 })]
    : []),
  ...(latency ? [latencySection(latency)] : []),
  ...(growth ? [growthSection(growth)] : []),
  ...(restart ? [restartSection(restart)] : []),
  ...(profile ? [budgetSection(profile)] : []),
];
for (const { pictures } of sections)
  for (const [file, picture] of Object.entries(pictures)) writeFileSync(join(pageDirectory, file), picture);
const page = join(root, 'docs', 'performance.md');
writeFileSync(page, [intro, ...sections.map(({ markdown }) => markdown)].join('\n'));
console.log(`${page}: ${sections.length} sections`);
