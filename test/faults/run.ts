import { expect, test } from 'vitest';
import { runFault, type Fault } from './fault.ts';
import { ownFaultServers } from './own-cluster.ts';

/** The test of a fault: its short form, with a seed of its own each time, which a failure names; skipped, with the reason, where it cannot happen. */
export function testFault(promise: string, fault: Fault): void {
  test(`${fault.name}: ${promise}`, async ({ skip }) => {
    const why = await fault.impossible?.();
    if (why !== undefined) skip(why);
    const seed = Date.now() % 1_000_000;
    const report = await runFault(ownFaultServers(), fault, { seed, long: false });
    console.log(`${report.fault}: ${report.messages} messages, seed ${seed}`);
    expect(report.failure).toBeUndefined();
    expect(report).toMatchObject({ lost: 0, doubled: 0 });
    expect(report.messages).toBeGreaterThan(0);
  });
}
