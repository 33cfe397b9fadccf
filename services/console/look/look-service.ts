import { z } from 'zod';
import { printable } from '../../../shared/printable.ts';
import { prometheusName } from '../../../shared/telemetry/prometheus-name.ts';
import type { ServiceLook } from './snapshot.ts';

const patienceMs = 2_000;
/** An answer to a probe is some hundred bytes; one of the metrics some ten thousand. */
const maxBytes = 1_048_576;

const word = z.string().max(100).transform(printable);
const count = z.number().int().min(0);
const readySchema = z.object({
  service: word,
  status: z.enum(['ready', 'waiting', 'starting']),
  dependencies: z
    .array(
      z.object({
        name: word,
        state: z.enum(['up', 'down']),
        code: word.optional(),
        downMs: count.optional(),
        failures: z.record(z.string(), count),
      }),
    )
    .max(100),
});

/** What a service says of itself at its HEALTH_PORT, and at its metrics when they are at the same. Never throws: silence is an answer. */
export async function lookAtService(url: string): Promise<ServiceLook> {
  const silent: ServiceLook = {
    url,
    service: null,
    state: 'silent',
    dependencies: [],
    queueOldestSeconds: null,
    lastMaintainMs: null,
  };
  try {
    const { data: ready } = readySchema.safeParse(JSON.parse(await textAt(`${url}/readyz`, [200, 503])));
    if (ready === undefined) return silent;
    const live = await statusAt(`${url}/livez`);
    const metrics = await textAt(`${url}/metrics`, [200]).catch(() => '');
    const maintained = gauge(metrics, 'sluice.maintain.last_success.timestamp.seconds');
    return {
      url,
      service: ready.service,
      state: live === 200 ? ready.status : 'stuck',
      dependencies: ready.dependencies.map(({ name, state, code = null, downMs = null, failures }) => ({
        name,
        up: state === 'up',
        code,
        downMs,
        failures: Object.values(failures).reduce((sum, n) => sum + n, 0),
      })),
      queueOldestSeconds: gauge(metrics, 'sluice.queue.oldest_age.seconds'),
      lastMaintainMs: maintained === null ? null : Math.round(maintained * 1_000),
    };
  } catch {
    return silent;
  }
}

async function textAt(url: string, statuses: readonly number[]): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(patienceMs), redirect: 'error' });
  if (!statuses.includes(answer.status) || answer.body === null) {
    await answer.body?.cancel();
    throw new Error('another answer');
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new Error('too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function statusAt(url: string): Promise<number> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(patienceMs), redirect: 'error' });
  await answer.body?.cancel();
  return answer.status;
}

/** The value of an instrument without labels of ours in the text that Prometheus scrapes; null when it is not there. */
function gauge(text: string, name: string): number | null {
  const [, value] =
    new RegExp(`^${prometheusName(name, 'gauge')}(?:\\{[^}]*\\})? ([0-9.eE+-]+)(?: \\d+)?$`, 'm').exec(
      text,
    ) ?? [];
  return value === undefined ? null : Number(value);
}
