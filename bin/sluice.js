#!/usr/bin/env node
// Plain JavaScript on purpose: an old Node must be able to read this file and say what is wrong.

const required = 26;
const major = Number(process.versions.node.split('.')[0]);

/**
 * Services promise to stay small, and V8 by itself lets garbage pile up: a writer at work takes 360 MiB, with these 230, for a tenth of
 * its throughput. The new space stops growing at 8 MiB, and the old space is collected when it has grown by 60 %.
 */
const heapFlags = ['--max-semi-space-size=8', '--heap-growing-percent=60'];

if (major < required) {
  process.stderr.write(
    `sluice: needs Node ${required} or newer, this is ${process.version}. ` +
      `Run it as "npx sluice …" or "npm run …" inside the project: they use the Node that "npm ci" installed.\n`,
  );
  process.exitCode = 2;
} else if (process.execArgv.includes(heapFlags[0]) || process.execve === undefined) {
  const { runCli } = await import('../services/cli.ts');
  await runCli(process.argv);
} else {
  // The same process, begun again: V8 takes these flags at its start only, and a child would stand between it and its signals.
  const { execPath, execArgv, argv } = process;
  const quiet = '--disable-warning=ExperimentalWarning';
  process.execve(execPath, [execPath, ...heapFlags, quiet, ...execArgv, ...argv.slice(1)], process.env);
}
