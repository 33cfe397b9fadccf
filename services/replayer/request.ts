import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorName, PipelineError } from '../../shared/errors.ts';
import { toFilter, type FilterOptions } from '../../shared/streams/selection.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { dayOf } from '../../shared/time.ts';
import type { PlanRequest } from './make-plan.ts';
import { parseOffsets } from './offset-ranges.ts';
import { jobName, type ReplayPlan } from './plan.ts';

/** A plan as it is asked for on a command line. */
export interface ReplayPlanOptions extends Pick<
  FilterOptions,
  'code' | 'from' | 'to' | 'partition' | 'eventId'
> {
  readonly name?: string;
  readonly source: ReplayPlan['source'] | 'archive';
  readonly offsets?: string;
  readonly offsetsFile?: string;
  readonly userId?: readonly string[];
  readonly target: ReplayPlan['target'];
  readonly transform?: number;
  readonly rate?: number;
  readonly concurrency: number;
  readonly maxLiveLag?: number;
  readonly maxLatency?: number;
  readonly acceptDead?: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

/** What is asked for, parsed. @throws PipelineError USAGE */
export async function requestOf(options: ReplayPlanOptions): Promise<Omit<PlanRequest, 'topic'>> {
  const filter = toFilter(options);
  if (options.source === 'archive') {
    throw new PipelineError(
      'USAGE',
      '--source archive: an archive holds rows and no records; "sluice restore" brings a day back',
    );
  }
  if (filter.codes !== undefined && options.source !== 'dead') {
    throw new PipelineError('USAGE', '--code goes with --source dead: records have none');
  }
  const name = options.name ?? `r${dayOf(Date.now()).replaceAll('-', '')}_${randomBytes(3).toString('hex')}`;
  if (!jobName.test(name)) {
    throw new PipelineError(
      'USAGE',
      '--name takes small letters, digits, hyphens and underscores, 30 at most',
    );
  }
  const iso = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    format: 1,
    job: name,
    stream: userLogins.name,
    transform: options.transform,
    source: options.source,
    time: { from: iso(filter.fromMs), to: iso(filter.toMs) },
    filter: {
      codes: filter.codes === undefined ? null : [...filter.codes],
      eventIds: filter.eventIds === undefined ? null : [...filter.eventIds],
      userIds: options.userId === undefined ? null : [...options.userId],
    },
    target: options.target,
    perSecond: options.rate ?? null,
    concurrency: options.concurrency,
    maxLiveLag: limit(options.maxLiveLag),
    maxLatencyMs: limit(options.maxLatency),
    acceptDead: options.acceptDead === true,
    offsets: await offsetsOf(options),
    partitions: filter.partitions,
  };
}

async function offsetsOf({ offsets, offsetsFile }: ReplayPlanOptions) {
  if (offsets !== undefined && offsetsFile !== undefined) {
    throw new PipelineError('USAGE', 'give --offsets or --offsets-file, not both');
  }
  if (offsets !== undefined) return parseOffsets(offsets);
  return offsetsFile === undefined ? undefined : parseOffsets(await readText('--offsets-file', offsetsFile));
}

/** 0 on the command line: it is not looked at. */
function limit(value: number | undefined): number | null {
  return value === undefined || value === 0 ? null : value;
}

/** A file that an option names. @throws PipelineError USAGE */
export async function readText(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PipelineError('USAGE', `${option} cannot be read: ${errorName(error)}`);
  }
}
