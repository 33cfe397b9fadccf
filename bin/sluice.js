#!/usr/bin/env node
// Plain JavaScript on purpose: an old Node must be able to read this file and say what is wrong.

import { fileURLToPath } from 'node:url';

const required = 26;
const major = Number(process.versions.node.split('.')[0]);

/**
 * Services promise to stay small, and V8 by itself lets garbage pile up: a writer at work takes 310 MiB, with these 220. The new space stops
 * growing at 8 MiB, and the old space is collected when it has doubled; a writer has a little more of both. Where large bodies pass, we say so
 * (shared/large-garbage.ts).
 */
const writes = process.argv[2] === 'writer';
const heapFlags = [
  `--max-semi-space-size=${writes ? 10 : 8}`,
  `--heap-growing-percent=${writes ? 110 : 100}`,
  '--expose-gc',
];

/** glibc gives each thread memory of its own and hardly any back: 10 MiB of a service. What starts other programs leaves it as it is. */
const moves = ['connector', 'writer', 'replay'].includes(process.argv[2]);
const environment = () => (moves ? { MALLOC_ARENA_MAX: '1', ...process.env } : process.env);

/**
 * Drizzle as CommonJS: the same code, but for an ES module Node reads Drizzle's package.json (180 KB) anew for each of its files, which takes
 * 200 MiB and half a second of CPU.
 */
function resolveLean(specifier, context, next) {
  const drizzle = specifier === 'drizzle-orm' || specifier.startsWith('drizzle-orm/');
  return next(specifier, drizzle ? { ...context, conditions: ['node', 'require'] } : context);
}

if (major < required) {
  process.stderr.write(
    `sluice: needs Node ${required} or newer, this is ${process.version}. ` +
      `Run it as "npx sluice …" or "npm run …" inside the project: they use the Node that "npm ci" installed.\n`,
  );
  process.exitCode = 2;
} else if (process.execArgv.includes(heapFlags[0]) || process.execve === undefined) {
  const { enableCompileCache, registerHooks } = await import('node:module');
  // Compiled code, and TypeScript with its types taken out, from one start to the next. Where it cannot be written, it is done again.
  enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/sluice', import.meta.url)));
  const lean = registerHooks({ resolve: resolveLean });
  const { runCli } = await import('../services/cli.ts');
  // Until all is loaded: with it a `require` takes ten times as long, and kafkajs does two for every request.
  await runCli(process.argv, () => lean.deregister());
} else {
  // The same process, begun again: V8 takes these flags at its start only, and a child would stand between it and its signals.
  const { execPath, execArgv, argv } = process;
  const quiet = '--disable-warning=ExperimentalWarning';
  process.execve(execPath, [execPath, ...heapFlags, quiet, ...execArgv, ...argv.slice(1)], environment());
}
