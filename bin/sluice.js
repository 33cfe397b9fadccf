#!/usr/bin/env node
// Plain JavaScript on purpose: an old Node must be able to read this file and say what is wrong.
const required = 26;
const major = Number(process.versions.node.split('.')[0]);
if (major < required) {
  process.stderr.write(
    `sluice: needs Node ${required} or newer, this is ${process.version}. ` +
      `Run it as "npx sluice …" or "npm run …" inside the project: they use the Node that "npm ci" installed.\n`,
  );
  process.exitCode = 2;
} else {
  const { runCli } = await import('../services/cli.ts');
  await runCli(process.argv);
}
