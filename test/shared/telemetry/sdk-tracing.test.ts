import { afterEach, describe, expect, test, vi } from 'vitest';
import { recordedTelemetry } from '../../helpers/recorded-telemetry.ts';

afterEach(() => vi.useRealTimers());

const remote = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 };

describe('SdkTracing', () => {
  test('a span goes on with its parent, or begins a trace; an error is a status and a code', () => {
    const { tracing, spans } = recordedTelemetry(0);
    tracing.span('child', { parent: remote, kind: 'CONSUMER' }).end();
    tracing.span('root', {}).end({ error: 'FIELD_TYPE' });
    const [child, root] = spans();
    expect(child?.spanContext().traceId).toBe(remote.traceId);
    expect(child?.parentSpanContext?.spanId).toBe(remote.spanId);
    expect(root?.spanContext().traceId).not.toBe(remote.traceId);
    expect(root?.parentSpanContext).toBeUndefined();
    expect(root?.attributes).toEqual({ 'error.type': 'FIELD_TYPE' });
    expect(root?.status).toMatchObject({ code: 2, message: 'FIELD_TYPE' });
  });

  test('two batch spans a second of each name', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    vi.advanceTimersByTime(10_000);
    const { tracing } = recordedTelemetry(0);
    const look = () => Array.from({ length: 4 }, () => tracing.batchSampled('insert'));
    expect(look()).toEqual([true, true, false, false]);
    expect(tracing.batchSampled('commit')).toBe(true);
    vi.advanceTimersByTime(1_000);
    expect(look()).toEqual([true, true, false, false]);
  });

  test('rate 0 is none, 1 is all, and something between is that share', () => {
    const shareOf = (rate: number) => {
      const { tracing } = recordedTelemetry(rate);
      return Array.from({ length: 20_000 }, () => tracing.sampled()).filter(Boolean).length / 20_000;
    };
    expect(shareOf(0)).toBe(0);
    expect(shareOf(1)).toBe(1);
    expect(shareOf(0.1)).toBeGreaterThan(0.08);
    expect(shareOf(0.1)).toBeLessThan(0.12);
  });

  test('no more links than are kept, from the first on', () => {
    const { tracing, spans } = recordedTelemetry(0);
    const contexts = Array.from({ length: 300 }, (_, i) => ({
      ...remote,
      spanId: String(i + 1).padStart(16, '0'),
    }));
    const span = tracing.span('batch', { links: contexts.slice(0, 100).map((context) => ({ context })) });
    for (const context of contexts.slice(100)) span.link(context);
    span.end();
    const kept = spans()[0]?.links.map(({ context }) => context.spanId);
    expect(kept).toEqual(contexts.slice(0, 128).map(({ spanId }) => spanId));
    expect(spans()[0]?.droppedLinksCount).toBe(0);
  });

  test('times follow the wall clock when it is set', () => {
    const { tracing } = recordedTelemetry(0);
    expect(Math.abs(tracing.nowMs() - Date.now())).toBeLessThan(100);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    expect(tracing.nowMs()).toBe(Date.now());
  });
});
