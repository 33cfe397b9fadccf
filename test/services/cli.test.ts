import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCli } from '../../services/cli.ts';

beforeEach(() => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  for (const name of ['SQS_QUEUE_URL', 'KAFKA_BROKERS', 'DATABASE_URL', 'VAULT_URL']) vi.stubEnv(name, '');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

test.each([
  { command: 'connector' },
  { command: 'writer' },
  { command: 'replay run --plan /nonexistent' },
  { command: 'replay resume 00000000-0000-0000-0000-000000000000' },
])('what moves messages says when it is loaded, before it does anything: $command', async ({ command }) => {
  const loaded = vi.fn();
  await runCli(['node', 'sluice', ...command.split(' ')], loaded);
  expect(loaded).toHaveBeenCalledOnce();
  expect(process.exitCode).toBeGreaterThan(0);
});
