import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { openMemoryLimit, whyNoMemoryLimit } from './cgroup.ts';

test('who takes more than the limit is killed, and nobody else', async ({ skip }) => {
  const why = await whyNoMemoryLimit();
  if (why !== undefined) skip(why);
  const limits = [await openMemoryLimit(64 * 1_048_576), await openMemoryLimit(256 * 1_048_576)];
  const ends = limits.map(async (limit) => {
    const take = 'const taken = Buffer.alloc(100 * 1048576, 1); process.exit(taken.length === 0 ? 1 : 0)';
    const [program, ...args] = [...limit.within, process.execPath, '-e', take];
    const [code, signal] = await once(spawn(program, args, { stdio: 'ignore' }), 'close');
    return [code ?? signal, await limit.killed()];
  });
  expect(await Promise.all(ends)).toEqual([
    ['SIGKILL', 1],
    [0, 0],
  ]);
  for (const limit of limits) await limit[Symbol.asyncDispose]();
});
