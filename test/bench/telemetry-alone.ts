import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { WriterObserver } from '../../services/writer/observe.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { openTelemetry, telemetrySlice } from '../../shared/telemetry/open.ts';
import { noTelemetry, type Telemetry } from '../../shared/telemetry/telemetry.ts';
import { median, medianInterval, spread } from './spread.ts';

/**
 * `npm run bench:telemetry-alone`: what telemetry costs a writer, without the writer. The calls that a writer makes are made at the pace of a busy
 * one, with records like its own and nothing else to do; so **all the CPU that this process uses is telemetry's**: spans and
 * histograms of every batch, one record in a thousand with a trace, exports over OTLP to another process.
 * From that goes what the same takes when telemetry is off. A per cent of a writer's CPU, which `bench:telemetry` can hardly see, is a large
 * part of what is measured here. `--batch 5000` is what a writer with a backlog takes at once. Divide by the CPU a row that `bench:telemetry` tells (`--row-micros`).
 */
const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '30000' },
    seconds: { type: 'string', default: '15' },
    pairs: { type: 'string', default: '6' },
    batch: { type: 'string', default: '1000' },
    'row-micros': { type: 'string' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const pairs = Number(values.pairs);
const perBatch = Number(values.batch);
const partitions = 8;
const sampledEvery = 1_000;

/** Takes what is sent and throws it away, with CPU of its own. */
const sink = spawn(
  process.execPath,
  [
    '--input-type=module',
    '--eval',
    `import { createServer } from 'node:http';
     const answer = { 'content-type': 'application/x-protobuf' };
     const server = createServer((request, response) => request.resume().on('end', () => response.writeHead(200, answer).end()));
     server.listen(0, '127.0.0.1', () => console.log(server.address().port));`,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const [port] = z.tuple([z.instanceof(Buffer)]).parse(await once(sink.stdout, 'data'));
process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${port.toString().trim()}`;
// Twelve times as often as usual, so that every sample has some.
process.env['OTEL_METRIC_EXPORT_INTERVAL'] = '5000';
const config = z.object(telemetrySlice).parse(process.env);

const places = { topic: 'raw', group: 'writers', deadLetterTopic: 'dead', table: 'user_logins' };
const slices = Array.from({ length: partitions }, (_, partition) => ({
  topic: places.topic,
  highWatermark: BigInt(perBatch),
  partition,
  records: Array.from({ length: perBatch / partitions }, (__, i) => record(partition * perBatch + i)),
}));
const ledger = slices.map(({ partition, records: { length } }) => ({
  topic: places.topic,
  partition,
  firstOffset: 0n,
  lastOffset: BigInt(length - 1),
  read: length,
  inserted: length,
  duplicate: 0,
  dead: 0,
  unknownFields: 0,
}));

await using telemetry = await openTelemetry('writer', config);
await cpuMicrosOfRow(noTelemetry, 2);
await cpuMicrosOfRow(telemetry, 5);
const off: number[] = [];
const on: number[] = [];
for (let pair = 0; pair < pairs; pair++) {
  for (const mode of pair % 2 === 0 ? [off, on] : [on, off]) {
    mode.push(await cpuMicrosOfRow(mode === on ? telemetry : noTelemetry, seconds));
  }
}
const cost = on.map((value, pair) => value - (off[pair] ?? Number.NaN));
const [low, high] = medianInterval(cost);
console.log(`${rate} rows a second in batches of ${perBatch}, ${pairs} pairs of ${seconds} s; CPU µs a row`);
console.log(`off ${spread(off, 3)}, on ${spread(on, 3)}`);
console.log(`telemetry: ${median(cost).toFixed(3)} (${low.toFixed(3)} … ${high.toFixed(3)})`);
if (values['row-micros'] !== undefined) {
  const share = (micros: number) => ((micros / Number(values['row-micros'])) * 100).toFixed(2);
  console.log(
    `of a writer's ${values['row-micros']}: ${share(median(cost))} % (${share(low)} … ${share(high)})`,
  );
}
sink.kill();

/** A writer's calls for each batch, as many batches a second as `rate` asks for. */
async function cpuMicrosOfRow(watched: Telemetry, forSeconds: number): Promise<number> {
  const observer = new WriterObserver(watched, { ...places, clock: Date.now });
  observer.assigned(slices.map(({ partition }) => partition));
  const batches = Math.round((rate / perBatch) * forSeconds);
  const startedAt = performance.now();
  const before = process.cpuUsage();
  for (let i = 0; i < batches; i++) {
    const wait = startedAt + (i * perBatch * 1_000) / rate - performance.now();
    if (wait > 1) await pause(wait);
    for (const slice of slices) observer.fetched(slice);
    const batch = observer.batch(slices);
    await batch.during('seal', () => Promise.resolve());
    await batch.during('insert', () => Promise.resolve());
    batch.done(ledger);
    // A commit a second is what the committer makes of them.
    if (i % Math.ceil(rate / perBatch) === 0) await observer.committing(partitions, () => Promise.resolve());
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (batches * perBatch);
}

function record(i: number): IncomingRecord {
  const eventId = randomUUID();
  const traceId = eventId.replaceAll('-', '');
  const traceparent = Buffer.from(`00-${traceId}-${traceId.slice(16)}-01`);
  return {
    offset: BigInt(i % perBatch),
    key: Buffer.from(eventId),
    value: Buffer.alloc(200),
    timestampMs: Date.now(),
    headers: i % sampledEvery === 1 ? { traceparent } : {},
  };
}
