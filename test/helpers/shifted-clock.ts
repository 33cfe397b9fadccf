/**
 * Loaded into a service before anything else (`NODE_OPTIONS=--import=…`): its wall clock is off by as many milliseconds as the file
 * named by SLUICE_TEST_CLOCK says, which may change at any time. Timers and `performance.now()` do not jump, as on a real machine.
 */
import { readFileSync } from 'node:fs';

const file = process.env['SLUICE_TEST_CLOCK'] ?? '';
const trueNow = Date.now;
let offsetMs = 0;

function look(): void {
  try {
    offsetMs = Number(readFileSync(file, 'utf8'));
  } catch {
    // Being written just now: as it was.
  }
}

look();
setInterval(look, 50).unref();
Date.now = () => trueNow() + offsetMs;

globalThis.Date = new Proxy(Date, {
  construct: (target, args: [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
});
