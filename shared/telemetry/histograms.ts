import { ValueType } from '@opentelemetry/api';
import { hrTime } from '@opentelemetry/core';
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type HistogramMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import { emptyResource } from '@opentelemetry/resources';
import { instruments, type NameOf } from './instruments.ts';

type Name = NameOf<'histogram'>;
type Labels = Readonly<Record<string, string>> | undefined;
type Time = ReturnType<typeof hrTime>;

/** One set of labels. */
interface Series {
  readonly labels: Labels;
  /** How many values are at most the bound of the same index; one more, for those beyond all. */
  readonly counts: number[];
  readonly startedAt: Time;
  sum: number;
  count: number;
}

/**
 * The histograms, kept by ourselves and handed to each reader as a metric producer
 * (opentelemetry.io/docs/specs/otel/metrics/sdk/#metricproducer). The SDK's own hash the labels of every value, which at a value a row was a
 * fiftieth of the writer's time. **Always cumulative**, as Prometheus wants them.
 */
export class Histograms implements MetricProducer {
  readonly #series = new Map<Name, Map<string, Series>>();

  record(name: Name, value: number, labels?: Labels): void {
    const { buckets }: { readonly buckets: readonly number[] } = instruments[name];
    const series = this.#seriesOf(name, labels, buckets.length);
    const bucket = bucketOf(buckets, value);
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += value;
    series.count += 1;
  }

  /** Values that follow each other are near each other, as a rule, so the last one's bucket is looked at first. */
  recordAll(name: Name, values: Float64Array): void {
    const { buckets }: { readonly buckets: readonly number[] } = instruments[name];
    const series = this.#seriesOf(name, undefined, buckets.length);
    let bucket = 0;
    let above = -Infinity;
    let upTo = buckets[0] ?? Infinity;
    let sum = 0;
    for (const value of values) {
      if (!(value > above && value <= upTo)) {
        bucket = bucketOf(buckets, value);
        above = buckets[bucket - 1] ?? -Infinity;
        upTo = buckets[bucket] ?? Infinity;
      }
      series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
      sum += value;
    }
    series.sum += sum;
    series.count += values.length;
  }

  async collect(): Promise<CollectionResult> {
    const metrics = [...this.#series].map(([name, all]) => metricOf(name, [...all.values()], hrTime()));
    const scopeMetrics = metrics.length === 0 ? [] : [{ scope: { name: 'sluice' }, metrics }];
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] };
  }

  #seriesOf(name: Name, labels: Labels, buckets: number): Series {
    let all = this.#series.get(name);
    if (all === undefined) this.#series.set(name, (all = new Map<string, Series>()));
    let key = '';
    for (const label in labels) key += `${labels[label]} `;
    let series = all.get(key);
    if (series === undefined) {
      const counts = Array.from({ length: buckets + 1 }, () => 0);
      all.set(key, (series = { labels, counts, startedAt: hrTime(), sum: 0, count: 0 }));
    }
    return series;
  }
}

/** The first that holds the value; one beyond the last when none does. */
function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  for (const bound of bounds) {
    if (value <= bound) break;
    bucket += 1;
  }
  return bucket;
}

function metricOf(name: Name, all: readonly Series[], endTime: Time): HistogramMetricData {
  const { unit, description, buckets } = instruments[name];
  return {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: all.map(({ labels, counts, startedAt, sum, count }) => ({
      startTime: startedAt,
      endTime,
      attributes: labels ?? {},
      value: { buckets: { boundaries: [...buckets], counts: [...counts] }, sum, count },
    })),
  };
}
