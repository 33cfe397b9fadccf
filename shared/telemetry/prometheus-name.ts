import type { InstrumentKind } from './instruments.ts';

/**
 * What OpenTelemetry's Prometheus exporter calls an instrument: dots become underscores, what only grows ends in `_total`. It adds no
 * unit, so names have theirs. A histogram is this with `_bucket`, `_sum` and `_count`.
 *
 *     sluice.writer.records (counter) → sluice_writer_records_total
 */
export function prometheusName(name: string, kind: InstrumentKind): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_]/g, '_').replaceAll(/_{2,}/g, '_');
  return kind === 'counter' || kind === 'total' ? `${plain}_total` : plain;
}
