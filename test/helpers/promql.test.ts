import { expect, test } from 'vitest';
import { metricsOf, promqlProblems } from './promql.ts';

test('what is declared passes, whatever is around it', () => {
  for (const expression of [
    'sum by (partition) (sluice_lag_records) > 0 unless sum(rate(sluice_writer_records_total{outcome="dead"}[5m])) > 0',
    'label_replace(absent(sluice_horizon_key_days), "process", "maintain", "", "")',
    'histogram_quantile(0.9, sum by (le) (rate(sluice_stage_duration_seconds_bucket{job=~"$job", stage=~"seal|insert"}[$__rate_interval])))',
    'sluice_dead_letters_total unless sluice_dead_letters_total offset 15m',
    'up{job=~"sluice.*"} == 0',
  ]) {
    expect(promqlProblems(expression)).toEqual([]);
  }
  expect(metricsOf('deriv(max(sluice_lag_seconds)[30m:1m]) > 0.1 and time() > 1e3')).toEqual([
    'sluice_lag_seconds',
  ]);
});

test('what is not is named: metric, suffix, label, value, group', () => {
  expect(promqlProblems('max(sluice_lag_record)')).toEqual(['sluice_lag_record is no metric']);
  expect(promqlProblems('rate(sluice_end_to_end_seconds[5m])')).toEqual([
    'sluice_end_to_end_seconds is no metric',
  ]);
  expect(promqlProblems('sluice_lag_records{topic="x"}')).toEqual(['sluice_lag_records has no label topic']);
  expect(promqlProblems('sluice_writer_records_total{outcome=~"dead|lost"}')).toEqual([
    'sluice_writer_records_total: outcome is never lost',
  ]);
  expect(promqlProblems('sum by (le) (sluice_lag_records)')).toEqual([
    'grouped by le, which nothing here has',
  ]);
});
