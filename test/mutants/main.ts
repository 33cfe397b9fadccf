import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants, type Mutant } from './catalogue.ts';

/**
 * `npm run test:mutants`: breaks a copy of the source in each of the ways of the catalogue and runs the tests that must notice. `--only
 * TEXT` takes the mutants with that in their name. Exit code 1 when a test that should fail does not, or when the tests fail
 * on the source as it is.
 */
const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const root = fileURLToPath(new URL('../../', import.meta.url));
const copied = ['bin', 'db', 'deploy', 'docs', 'services', 'shared', 'test', 'package.json', 'tsconfig.json'];
const alsoCopied = ['vitest.config.ts', 'README.md', 'docker-compose.yml'];

const chosen = mutants.filter(({ name }) => name.includes(values.only));
const copy = await mkdtemp(join(tmpdir(), 'sluice-mutants-'));
let survivors = 0;
try {
  for (const name of [...copied, ...alsoCopied]) {
    await cp(join(root, name), join(copy, name), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  const all = [...new Set(chosen.flatMap(({ caughtBy }) => caughtBy))];
  if (!(await passes(copy, all))) throw new Error('the tests fail on the source as it is');
  for (const mutant of chosen) survivors += await survivals(mutant);
} finally {
  await rm(copy, { recursive: true });
}
console.log(`${chosen.length} mutants, ${survivors} tests that did not notice`);
process.exitCode = survivors === 0 ? 0 : 1;

async function survivals({ name, file, find, replace, caughtBy }: Mutant): Promise<number> {
  const path = join(copy, file);
  const source = await readFile(path, 'utf8');
  let missed = 0;
  await writeFile(
    path,
    source.replace(find, () => replace),
  );
  try {
    for (const test of caughtBy) {
      const caught = !(await passes(copy, [test]));
      if (!caught) missed += 1;
      console.log(`${caught ? 'caught' : 'SURVIVED'}: ${name} (${test})`);
    }
  } finally {
    await writeFile(path, source);
  }
  return missed;
}

/** Whether every one of the test files passes. */
function passes(directory: string, tests: readonly string[]): Promise<boolean> {
  const files = tests.map((test) => `test/${test}.test.ts`);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', '--bail', '1', '--retry', '0', ...files], {
    cwd: directory,
    stdio: 'ignore',
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
}
