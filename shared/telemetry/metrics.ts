import type { InstrumentName, LabelsOf, NameOf } from './instruments.ts';

/** Tells one value of a gauge or total. */
export type Report<N extends InstrumentName> = (
  value: number,
  ...labels: LabelsOf<N> extends undefined ? [] : [labels: LabelsOf<N>]
) => void;

export type UnlabelledHistogram = {
  [N in NameOf<'histogram'>]: LabelsOf<N> extends undefined ? N : never;
}[NameOf<'histogram'>];

/** Where a process puts its numbers. Names and labels are those of {@link instruments}, or they do not compile. */
export interface Metrics {
  /** False: nobody looks at them, and whoever would have to work for them need not. */
  readonly wanted: boolean;
  add<N extends NameOf<'counter'>>(name: N, ...value: Parameters<Report<N>>): void;
  record<N extends NameOf<'histogram'>>(name: N, ...value: Parameters<Report<N>>): void;
  /** The same of many at once: for what is known of every record of a batch. */
  recordAll(name: UnlabelledHistogram, values: Float64Array): void;
  /** `read` is called at each scrape or push; one for each name. */
  observe<N extends NameOf<'gauge' | 'total'>>(name: N, read: (report: Report<N>) => void): void;
}

/** For a process that nobody watches: costs nothing. */
export const noMetrics: Metrics = {
  wanted: false,
  add: () => {},
  record: () => {},
  recordAll: () => {},
  observe: () => {},
};
