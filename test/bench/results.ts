import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { samplesSchema, type Samples } from './contest.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Of this checkout, the latest of each benchmark under its name and every one under its time. */
export const resultDirectory = join(root, '.sluice', 'bench');

/** What a figure is worth nothing without. */
export interface Machine {
  readonly at: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** Of the minute before. */
  readonly load: number;
}

/** Also printed, to standard error. */
export function machine(): Machine {
  const described = {
    at: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load: loadavg()[0] ?? Number.NaN,
  };
  console.error(describeMachine(described));
  return described;
}

export function describeMachine({ at, commit, cpu, cores, memoryGiB, node, load }: Machine): string {
  return `${cores} × ${cpu}, ${memoryGiB} GiB, Node ${node}, load ${load.toFixed(1)} before; ${commit}, ${at.slice(0, 10)}`;
}

/** Writes what was measured, every sample of it, and says where. */
export function saveResult(
  name: string,
  result: { readonly machine: Machine } & Record<string, unknown>,
): void {
  mkdirSync(resultDirectory, { recursive: true });
  const json = `${JSON.stringify(result, undefined, 2)}\n`;
  const file = join(resultDirectory, `${name}-${result.machine.at.replaceAll(':', '-')}.json`);
  for (const path of [file, join(resultDirectory, `${name}.json`)]) writeFileSync(path, json);
  console.log(`every sample: ${file}`);
}

/** Of the latest result of that name here, none when there is none. */
export function lastSamples(name: string): Samples {
  const file = join(resultDirectory, `${name}.json`);
  if (!existsSync(file)) return {};
  return z.object({ samples: samplesSchema }).parse(JSON.parse(readFileSync(file, 'utf8'))).samples;
}

/** Of `bench:growth`, the parts of its latest result here. */
export function lastGrowth(): Record<string, unknown> {
  const file = join(resultDirectory, 'growth.json');
  if (!existsSync(file)) return {};
  const parts = z.record(z.string(), z.unknown());
  return z.object({ parts }).parse(JSON.parse(readFileSync(file, 'utf8'))).parts;
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return 'no commit';
  }
}
