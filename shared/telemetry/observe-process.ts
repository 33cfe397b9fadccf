import { cpuUsage, memoryUsage, uptime } from 'node:process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Health } from '../health/health.ts';
import type { Metrics } from './metrics.ts';

/** What a probe sees, and what the process takes of its machine, as metrics. */
export function observeHealth(metrics: Metrics, health: Health): void {
  if (!metrics.wanted) return;
  metrics.observe('sluice.ready', (report) => report(health.ready().ok ? 1 : 0));
  metrics.observe('sluice.dependency.up', (report) => {
    for (const { name, up } of health.dependencies) report(up ? 1 : 0, { dependency: name });
  });
  metrics.observe('sluice.dependency.failures', (report) => {
    for (const { name, failures } of health.dependencies) {
      for (const [code, times] of failures) report(times, { dependency: name, code });
    }
  });
  const startedAt = Math.round(Date.now() / 1_000 - uptime());
  metrics.observe('sluice.process.start.timestamp.seconds', (report) => report(startedAt));
  metrics.observe('sluice.process.memory.bytes', (report) => report(memoryUsage.rss()));
  metrics.observe('sluice.process.cpu.seconds', (report) => {
    const { user, system } = cpuUsage();
    report(user / 1e6, { mode: 'user' });
    report(system / 1e6, { mode: 'system' });
  });
  const delay = monitorEventLoopDelay({ resolution: 50 });
  delay.enable();
  metrics.observe('sluice.process.event_loop.delay.seconds', (report) => {
    report(delay.max / 1e9);
    delay.reset();
  });
}
