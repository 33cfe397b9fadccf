import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mutants } from './catalogue.ts';

const root = new URL('../../', import.meta.url);

test.for(mutants.map((mutant) => [mutant.name, mutant] as const))(
  'the mutant "%s" still fits the source, and the tests that catch it exist',
  ([, { file, find, replace, caughtBy }]) => {
    const source = readFileSync(new URL(file, root), 'utf8');
    expect(source.split(find)).toHaveLength(2);
    expect(replace).not.toBe(find);
    expect(caughtBy).not.toHaveLength(0);
    const missing = caughtBy.filter((name) => !existsSync(new URL(`test/${name}.test.ts`, root)));
    expect(missing).toEqual([]);
  },
);
