import type { Attributes, Counter, Meter, ObservableResult } from '@opentelemetry/api';
import type { Histograms } from './histograms.ts';
import { instruments, type Instrument, type InstrumentName, type NameOf } from './instruments.ts';
import type { Metrics, Report, UnlabelledHistogram } from './metrics.ts';

/** {@link Metrics} on OpenTelemetry's meter: every instrument is made as it is declared, when it is first used. */
export class SdkMetrics implements Metrics {
  readonly wanted = true;
  readonly #meter: Meter;
  readonly #counters = new Map<InstrumentName, Counter>();
  readonly #histograms: Histograms;

  constructor(meter: Meter, histograms: Histograms) {
    this.#meter = meter;
    this.#histograms = histograms;
  }

  add(name: NameOf<'counter'>, value: number, labels?: Attributes): void {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      const { unit, description } = instruments[name];
      this.#counters.set(name, (counter = this.#meter.createCounter(name, { unit, description })));
    }
    counter.add(value, labels);
  }

  record(name: NameOf<'histogram'>, value: number, labels?: Readonly<Record<string, string>>): void {
    this.#histograms.record(name, value, labels);
  }

  recordAll(name: UnlabelledHistogram, values: Float64Array): void {
    this.#histograms.recordAll(name, values);
  }

  observe<N extends NameOf<'gauge' | 'total'>>(name: N, read: (report: Report<N>) => void): void {
    const { kind, unit, description }: Instrument = instruments[name];
    const options = { unit, description };
    const observable =
      kind === 'total'
        ? this.#meter.createObservableCounter(name, options)
        : this.#meter.createObservableGauge(name, options);
    observable.addCallback((result: ObservableResult) => {
      read((value, ...[labels]) => result.observe(value, labels));
    });
  }
}
