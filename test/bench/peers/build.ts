import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A program that does what Sluice does, built from its published Go module with the plugins it needs and no others. */
export interface PeerProgram {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** Packages of Go, imported for what they register. */
  readonly plugins: readonly string[];
  /** The package whose `RunCLI` is the program. */
  readonly service: string;
}

const components = (base: string) =>
  ['aws', 'io', 'kafka', 'pure', 'sql/base'].map((name) => `${base}/public/components/${name}`);

export const bento: PeerProgram = {
  name: 'bento',
  module: 'github.com/warpstreamlabs/bento',
  version: 'v1.20.0',
  plugins: ['github.com/lib/pq', ...components('github.com/warpstreamlabs/bento')],
  service: 'github.com/warpstreamlabs/bento/public/service',
};

export const redpandaConnect: PeerProgram = {
  name: 'redpanda-connect',
  module: 'github.com/redpanda-data/connect/v4',
  version: 'v4.100.0',
  plugins: ['github.com/lib/pq', ...components('github.com/redpanda-data/connect/v4')],
  service: 'github.com/redpanda-data/benthos/v4/public/service',
};

/** Kept by this checkout: a build takes a quarter of an hour on two cores. */
const cache = fileURLToPath(new URL('../../../.sluice/peers', import.meta.url));

/**
 * The path of the peer's program, built if it is not there. `go.mod` and `go.sum` are the peer's own, so that what it depends on is what it was
 * released with (`go install` refuses a module with replacements).
 */
export async function builtPeer(peer: PeerProgram): Promise<string> {
  const directory = join(cache, `${peer.name}-${peer.version}`);
  const binary = join(directory, 'peer');
  if (existsSync(binary)) return binary;
  console.error(`building ${peer.name} ${peer.version} with Go: a quarter of an hour or more`);
  mkdirSync(directory, { recursive: true });
  const go = (args: string[]) =>
    run('go', args, { cwd: directory, maxBuffer: 2 ** 26, env: { ...process.env, CGO_ENABLED: '0' } });
  writeFileSync(join(directory, 'main.go'), mainOf(peer));
  const { stdout } = await go(['mod', 'download', '-json', `${peer.module}@${peer.version}`]);
  const downloaded: unknown = JSON.parse(stdout);
  const source =
    typeof downloaded === 'object' && downloaded !== null && 'Dir' in downloaded && String(downloaded.Dir);
  if (!source) throw new Error(`${peer.module} could not be downloaded`);
  const requirements = readFileSync(join(source, 'go.mod'), 'utf8').replace(/^module .*$/m, 'module bench');
  writeFileSync(join(directory, 'go.mod'), `${requirements}\nrequire ${peer.module} ${peer.version}\n`);
  writeFileSync(join(directory, 'go.sum'), readFileSync(join(source, 'go.sum')));
  await go(['build', '-mod=mod', '-ldflags=-s -w', '-o', `${binary}.partial`, '.']);
  chmodSync(`${binary}.partial`, 0o755);
  renameSync(`${binary}.partial`, binary);
  return binary;
}

function mainOf({ plugins, service }: PeerProgram): string {
  const imports = plugins.map((plugin) => `\t_ "${plugin}"\n`).join('');
  return `package main\n\nimport (\n\t"context"\n\n\t"${service}"\n\n${imports})\n\nfunc main() { service.RunCLI(context.Background()) }\n`;
}
