import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { pendingMigrations, readMigrations } from '../../db/migrate.ts';

const migrations = ['0001_a', '0002_b', '0003_c'].map((name) => ({ name, text: `select '${name}'` }));
const applied = migrations.map(({ name, text }) => ({
  name,
  sha256: createHash('sha256').update(text).digest('hex'),
}));

describe('pendingMigrations', () => {
  test('are those after the last that ran', () => {
    expect(pendingMigrations(migrations, [])).toEqual(migrations);
    expect(pendingMigrations(migrations, applied.slice(0, 2))).toEqual(migrations.slice(2));
    expect(pendingMigrations(migrations, applied)).toEqual([]);
  });

  test('one that was edited after it ran is refused by name', () => {
    const edited = migrations.with(1, { name: '0002_b', text: 'select 2' });
    expect(() => pendingMigrations(edited, applied)).toThrow(/0002_b was edited/);
    expect(pendingMigrations(edited, applied.slice(0, 1))).toHaveLength(2);
  });

  test('so is one that only a newer version knows, and one that comes too late', () => {
    expect(() => pendingMigrations(migrations.slice(0, 2), applied)).toThrow(/0003_c is not known here/);
    expect(() => pendingMigrations(migrations, applied.slice(1))).toThrow(/0001_a comes before 0002_b/);
  });
});

test('the migrations are numbered without a hole and hold no upper-case keywords', async () => {
  const found = await readMigrations();
  expect(found.map(({ name }) => Number(name.slice(0, 4)))).toEqual(found.map((_, i) => i + 1));
  for (const { text } of found) expect(text).not.toMatch(/^\s*(CREATE|ALTER|GRANT|REVOKE|SELECT)\b/m);
});
