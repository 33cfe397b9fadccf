import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { samplesSchema } from '../contest.ts';
import { resultDirectory } from '../results.ts';

/** Beside the page: the results that it was made of. */
export const pageDirectory = fileURLToPath(new URL('../../../docs/performance', import.meta.url));

const Machine = z.object({
  at: z.string(),
  commit: z.string(),
  cpu: z.string(),
  cores: z.number(),
  memoryGiB: z.number(),
  node: z.string(),
  load: z.number(),
});

const Latency = z.record(z.string(), z.number());

/** Of each benchmark, what of its result the page shows. */
export const resultSchemas = {
  'peers-writer': z.object({
    machine: Machine,
    rows: z.number(),
    rounds: z.number(),
    samples: samplesSchema,
  }),
  'peers-connector': z.object({
    machine: Machine,
    messages: z.number(),
    rounds: z.number(),
    samples: samplesSchema,
  }),
  latency: z.object({
    machine: Machine,
    seconds: z.number(),
    rounds: z.number(),
    samples: z.record(z.string(), z.record(z.string(), z.array(Latency))),
  }),
  growth: z.object({
    machine: Machine,
    filled: z.number(),
    parts: z.record(
      z.string(),
      z.object({ machine: Machine, rows: z.number(), rounds: z.number(), samples: samplesSchema }),
    ),
  }),
  restart: z.object({
    machine: Machine,
    rounds: z.number(),
    goals: z.record(z.string(), z.number()),
    titles: z.record(z.string(), z.string()),
    samples: z.record(z.string(), z.array(z.number())),
  }),
  profile: z.object({
    machine: Machine,
    rows: z.number(),
    messages: z.number(),
    lines: z.array(z.object({ part: z.string(), stage: z.string(), micros: z.number() })),
    wal: z.object({ bytes: z.number(), fullPages: z.number() }),
  }),
};
type Schemas = typeof resultSchemas;
export type Result<Name extends keyof Schemas> = z.output<Schemas[Name]>;

/** Takes over the latest result of a benchmark, if it was run here, and reads it; undefined when there is none at all. */
export function readResult<T>(name: keyof Schemas, schema: z.ZodType<T>): T | undefined {
  mkdirSync(pageDirectory, { recursive: true });
  const kept = join(pageDirectory, `${name}.json`);
  const latest = join(resultDirectory, `${name}.json`);
  if (existsSync(latest)) copyFileSync(latest, kept);
  return existsSync(kept) ? schema.parse(JSON.parse(readFileSync(kept, 'utf8'))) : undefined;
}
