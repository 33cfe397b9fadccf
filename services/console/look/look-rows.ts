import type { Session } from '../../../db/client.ts';
import { listCalendar } from '../../../db/queries/list-calendar.ts';
import { lately, recentLedger } from '../../../db/queries/recent-ledger.ts';
import { addDays, dayOf, horizon, type Clock } from '../../../shared/time.ts';
import { sampleDay } from './latency-sample.ts';
import { percentilesOf } from './percentiles.ts';
import type { MinuteLook, RowsLook } from './snapshot.ts';

/** Entries of the ledger that are read: at twenty batches a second they last forty minutes, and take 20 ms. */
const ledgerEntries = 50_000;
const minuteMs = 60_000;
const minutesShown = 60;
const recentMinutes = 5;

/** What the writers have written in the last hour, and how long it took, from the database alone. @throws PipelineError of the database */
export async function lookAtRows(
  session: Session,
  options: { readonly table: string; readonly topic: string; readonly clock: Clock },
): Promise<RowsLook> {
  const { table, topic, clock } = options;
  const now = clock();
  const sinceEpoch = now / 1_000 - 3_600;
  const { rows: written } = await session.execute(recentLedger(topic, ledgerEntries));
  const today = dayOf(now);
  const from = addDays(today, -horizon.daysBack);
  const { rows: days } = await session.execute(listCalendar(table, from, addDays(today, 1)));
  const samples = [];
  for (const day of days.filter(({ bytes }) => bytes > 0)) {
    samples.push(...(await sampleDay(session, table, day, sinceEpoch)));
  }
  const entries = written.reduce((sum, minute) => sum + minute.entries, 0);
  const byMinute = Map.groupBy(samples, ({ at }) => Math.floor(at / 60) * minuteMs);
  const counts = new Map(written.map((minute) => [minute.at * 1_000, minute]));
  const lastMinute = Math.floor(now / minuteMs) * minuteMs;
  const minutes = Array.from({ length: minutesShown }, (_, i): MinuteLook => {
    const atMs = lastMinute - (minutesShown - 1 - i) * minuteMs;
    const { inserted = 0, duplicate = 0, dead = 0 } = counts.get(atMs) ?? {};
    return { atMs, inserted, duplicate, dead, latency: percentilesOf(byMinute.get(atMs) ?? []) };
  });
  const recentFrom = (now - recentMinutes * minuteMs) / 1_000;
  return {
    rowsPerSecond: written.reduce((sum, minute) => sum + minute.lately, 0) / lately,
    minutes,
    hour: percentilesOf(samples),
    recent: percentilesOf(samples.filter(({ at }) => at >= recentFrom)),
    sampled: samples.length,
    truncated: entries >= ledgerEntries,
  };
}
