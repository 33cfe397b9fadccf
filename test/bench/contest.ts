import { z } from 'zod';
import type { Sample } from './sink.ts';
import { median, spread } from './spread.ts';

/** One of those compared, measured once a round. */
export interface Contender {
  readonly name: string;
  measure(): Promise<Sample>;
}

export type Samples = Record<string, Sample[]>;

/** As they are written and read again. */
export const samplesSchema: z.ZodType<Samples> = z.record(
  z.string(),
  z.array(
    z.object({
      perSecond: z.number(),
      cpuMicros: z.number(),
      postgresMicros: z.number().optional(),
      peakMiB: z.number().optional(),
      firstMs: z.number().optional(),
    }),
  ),
);

/**
 * Measures all of them in turns, so that whatever else the machine does hits all alike; every other round backwards, so that a machine that grows
 * slower counts against none. What fails ends the run: a contender that loses rows is not slow but wrong.
 */
export async function contest(contenders: readonly Contender[], rounds: number): Promise<Samples> {
  const samples: Samples = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const { name } = contender;
      const sample = await contender.measure();
      samples[name]?.push(sample);
      console.error(
        `${round + 1}/${rounds} ${name}: ${sample.perSecond.toFixed(0)}/s, ${sample.cpuMicros.toFixed(1)} µs CPU`,
      );
    }
  }
  return samples;
}

/** Rows for a table: medians and spread. */
export function tableOf(samples: Samples): Record<string, Record<string, string>> {
  const line = (list: readonly Sample[]) => {
    const of = (pick: (sample: Sample) => number | undefined, digits: number): string => {
      const numbers = list.map(pick).filter((n) => n !== undefined);
      return numbers.length === 0 ? '–' : spread(numbers, digits);
    };
    return {
      'per second': of(({ perSecond }) => perSecond, 0),
      'process CPU µs each': of(({ cpuMicros }) => cpuMicros, 1),
      'Postgres CPU µs each': of(({ postgresMicros }) => postgresMicros, 1),
      'peak MiB': of(({ peakMiB }) => peakMiB, 0),
    };
  };
  return Object.fromEntries(Object.entries(samples).map(([name, list]) => [name, line(list)]));
}

/** How often the first was measured. */
export function roundsOf(samples: Samples): number {
  return Object.values(samples)[0]?.length ?? 0;
}

export function rateOf(list: readonly Sample[] = []): number {
  return median(list.map(({ perSecond }) => perSecond));
}

/** Process and Postgres, microseconds each. */
export function totalCpuOf(list: readonly Sample[] = []): number {
  return median(list.map(({ cpuMicros, postgresMicros = 0 }) => cpuMicros + postgresMicros));
}

/** The name of the one with the best median of `figure`, of `names`. */
export function bestOf(
  samples: Samples,
  names: readonly string[],
  figure: (list: readonly Sample[] | undefined) => number,
  better: 'highest' | 'lowest',
): string {
  const sign = better === 'highest' ? -1 : 1;
  const [best = ''] = names.toSorted((a, b) => sign * (figure(samples[a]) - figure(samples[b])));
  return best;
}
